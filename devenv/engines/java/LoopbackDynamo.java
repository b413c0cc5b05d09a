import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Collections;
import java.util.Enumeration;
import java.util.List;
import java.util.regex.Pattern;

/**
 * Starts DynamoDB Local on 127.0.0.1 only, and lets it answer only requests whose Host is a name of loopback.
 *
 * <p>By itself it listens on every interface and has no option for that; and it answers to any Host, so that a web page
 * whose own name is made to lead to 127.0.0.1 (DNS rebinding) could read and write every table.
 *
 * <p>Arguments: the archive's own main class (its package differs between versions), then the server's arguments.
 * Everything is reached by reflection, so that this class needs no archive to compile and one class serves all
 * versions (Jetty 9 to 11 hand their handlers four arguments, Jetty 12 three). With {@code -Ddevenv.until=stdin} the
 * process ends when its standard input does, so that it cannot outlive the program that is training on it.
 *
 * <p>Users have no compiler, so the class is kept beside the source. After a change:
 * {@code javac --release 17 -g:none -XDstringConcat=inline LoopbackDynamo.java && sha256sum *.class *.java > SHA256SUMS}
 */
public final class LoopbackDynamo implements InvocationHandler {
    private static final String JETTY = "org.eclipse.jetty.server.";
    private static final String LOOPBACK = "127.0.0.1";
    private static final Pattern OURS =
            Pattern.compile("(localhost|127(\\.\\d{1,3}){1,3}|\\[::1\\]|::1)(:\\d{1,5})?", Pattern.CASE_INSENSITIVE);
    private static final int MISDIRECTED = 421;
    private static final String WHY = "this server answers only to localhost, 127.0.0.1 and [::1]";

    private final Object handler;

    private LoopbackDynamo(Object handler) {
        this.handler = handler;
    }

    public static void main(String[] arguments) throws Exception {
        try {
            start(arguments[0], java.util.Arrays.copyOfRange(arguments, 1, arguments.length));
        } catch (InvocationTargetException error) {
            fail(error.getCause());
        } catch (ReflectiveOperationException error) {
            fail(new IllegalStateException("this version of DynamoDB Local is built differently: " + error, error));
        }
        if ("stdin".equals(System.getProperty("devenv.until"))) {
            while (System.in.read() >= 0) {}
            System.exit(0);
        }
    }

    private static void start(String runner, String[] arguments) throws ReflectiveOperationException {
        Object server = Class.forName(runner)
                .getMethod("createServerFromCommandLineArgs", String[].class)
                .invoke(null, (Object) arguments);
        Object jetty = jettyOf(server);
        for (Object connector : (Object[]) jetty.getClass().getMethod("getConnectors").invoke(jetty)) {
            connector.getClass().getMethod("setHost", String.class).invoke(connector, LOOPBACK);
        }
        guard(jetty);
        server.getClass().getMethod("start").invoke(server);
        if (!(Boolean) jetty.getClass().getMethod("isStarted").invoke(jetty)) {
            // The server prints why and leaves its threads running.
            fail(null);
        }
        System.out.println("Listening on " + LOOPBACK);
    }

    /** Puts this class in front of whatever handles requests. */
    private static void guard(Object jetty) throws ReflectiveOperationException {
        Class<?> kind = Class.forName(JETTY + "Handler");
        Object inner = jetty.getClass().getMethod("getHandler").invoke(jetty);
        Object outer =
                Proxy.newProxyInstance(kind.getClassLoader(), new Class<?>[] {kind}, new LoopbackDynamo(inner));
        jetty.getClass().getMethod("setHandler", kind).invoke(jetty, outer);
    }

    @Override
    public Object invoke(Object proxy, Method method, Object[] given) throws Throwable {
        switch (method.getName()) {
            case "equals":
                return proxy == given[0];
            case "hashCode":
                return System.identityHashCode(proxy);
            case "handle":
                if (given.length == 4 && !isOurs(given[1], named(given[1]))) {
                    refuse(given[1], given[3]);
                    return null;
                }
                if (given.length == 3 && !isOurs(given[0], listed(given[0]))) {
                    return refuse(given);
                }
                break;
            default:
        }
        try {
            return method.invoke(handler, given);
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    /** Whether there is a Host, and it and the name in the request's own address are loopback's. */
    private static boolean isOurs(Object request, List<String> hosts) throws ReflectiveOperationException {
        return hosts.size() == 1 && matches(hosts.get(0)) && matches(serverName(request));
    }

    private static boolean matches(String host) {
        return host != null && OURS.matcher(host.trim()).matches();
    }

    private static String serverName(Object request) throws ReflectiveOperationException {
        Class<?> kind = Class.forName(JETTY + "Request");
        return kind.isInterface()
                ? (String) kind.getMethod("getServerName", kind).invoke(null, request)
                : (String) kind.getMethod("getServerName").invoke(request);
    }

    private static List<String> named(Object request) throws ReflectiveOperationException {
        Class<?> kind = Class.forName(JETTY + "Request");
        Object found = kind.getMethod("getHeaders", String.class).invoke(request, "Host");
        @SuppressWarnings("unchecked")
        Enumeration<String> hosts = (Enumeration<String>) found;
        return Collections.list(hosts);
    }

    private static List<String> listed(Object request) throws ReflectiveOperationException {
        Object headers = Class.forName(JETTY + "Request").getMethod("getHeaders").invoke(request);
        Object found = Class.forName("org.eclipse.jetty.http.HttpFields")
                .getMethod("getValuesList", String.class)
                .invoke(headers, "Host");
        @SuppressWarnings("unchecked")
        List<String> hosts = (List<String>) found;
        return hosts;
    }

    /** Jetty 9 to 11. */
    private static void refuse(Object request, Object response) throws ReflectiveOperationException {
        Class.forName(JETTY + "Request").getMethod("setHandled", boolean.class).invoke(request, true);
        Class<?> kind = Class.forName(JETTY + "Response");
        kind.getMethod("setStatus", int.class).invoke(response, MISDIRECTED);
        kind.getMethod("setContentType", String.class).invoke(response, "application/x-amz-json-1.0");
        PrintWriter body = (PrintWriter) kind.getMethod("getWriter").invoke(response);
        body.write("{\"__type\":\"devenv#MisdirectedRequest\",\"message\":\"" + WHY + "\"}");
        body.close();
    }

    /** Jetty 12. */
    private static Object refuse(Object[] given) throws ReflectiveOperationException {
        Class<?> kind = Class.forName(JETTY + "Response");
        Class<?> request = Class.forName(JETTY + "Request");
        Class<?> callback = Class.forName("org.eclipse.jetty.util.Callback");
        kind.getMethod("writeError", request, kind, callback, int.class, String.class)
                .invoke(null, given[0], given[1], given[2], MISDIRECTED, WHY);
        return true;
    }

    private static Object jettyOf(Object server) throws ReflectiveOperationException {
        for (Class<?> type = server.getClass(); type != null; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (field.getType().getName().equals(JETTY + "Server")) {
                    field.setAccessible(true);
                    return field.get(server);
                }
            }
        }
        throw new NoSuchFieldException(JETTY + "Server in " + server.getClass().getName());
    }

    private static void fail(Throwable error) {
        System.err.println("DynamoDB Local did not start" + (error == null ? "" : ": " + error.getMessage()));
        System.exit(1);
    }
}
