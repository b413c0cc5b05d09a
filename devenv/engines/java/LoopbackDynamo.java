import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;

/**
 * Starts DynamoDB Local on 127.0.0.1 only; by itself it listens on every interface and has no option for that.
 *
 * <p>Arguments: the archive's own main class (its package differs between versions), then the server's arguments.
 * Everything is reached by reflection, so that this class needs no archive to compile and one class serves all
 * versions. With {@code -Ddevenv.until=stdin} the process ends when its standard input does, so that it cannot
 * outlive the program that is training on it.
 *
 * <p>Users have no compiler, so the class is kept beside the source. After a change:
 * {@code javac --release 17 -g:none -XDstringConcat=inline LoopbackDynamo.java && sha256sum LoopbackDynamo.* > SHA256SUMS}
 */
public final class LoopbackDynamo {
    private static final String JETTY = "org.eclipse.jetty.server.Server";
    private static final String LOOPBACK = "127.0.0.1";

    private LoopbackDynamo() {}

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
        server.getClass().getMethod("start").invoke(server);
        if (!(Boolean) jetty.getClass().getMethod("isStarted").invoke(jetty)) {
            // The server prints why and leaves its threads running.
            fail(null);
        }
        System.out.println("Listening on " + LOOPBACK);
    }

    private static Object jettyOf(Object server) throws ReflectiveOperationException {
        for (Class<?> type = server.getClass(); type != null; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (field.getType().getName().equals(JETTY)) {
                    field.setAccessible(true);
                    return field.get(server);
                }
            }
        }
        throw new NoSuchFieldException(JETTY + " in " + server.getClass().getName());
    }

    private static void fail(Throwable error) {
        System.err.println("DynamoDB Local did not start" + (error == null ? "" : ": " + error.getMessage()));
        System.exit(1);
    }
}
