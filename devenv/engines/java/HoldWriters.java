import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * Keeps every program from writing to an SQLite file, while reading goes on, until its own standard input ends.
 *
 * <p>It takes the one lock that a writer needs ({@code BEGIN IMMEDIATE} takes the same): a write lock on the byte that
 * SQLite calls RESERVED_BYTE (sqlite.org/lockingv3.html, os_unix.c). Whoever is writing finishes first. Run inside
 * DynamoDB Local's container, which has Java, but no SQLite; the lock is the kernel's, and goes with this process.
 *
 * <p>Arguments: the file; after how many seconds it ends by itself in any case. It says {@code held} once it has the
 * lock. Users have no compiler: see LoopbackDynamo about the class beside the source.
 */
public final class HoldWriters extends Thread {
    private static final long RESERVED_BYTE = 0x40000000L + 1;
    private final long seconds;

    private HoldWriters(long seconds) {
        this.seconds = seconds;
        setDaemon(true);
    }

    public static void main(String[] arguments) throws Exception {
        new HoldWriters(Long.parseLong(arguments[1])).start();
        try (FileChannel file =
                FileChannel.open(Path.of(arguments[0]), StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            file.lock(RESERVED_BYTE, 1, false);
            System.out.println("held");
            while (System.in.read() >= 0) {}
        }
    }

    @Override
    public void run() {
        try {
            sleep(seconds * 1000);
        } catch (InterruptedException end) {
            return;
        }
        Runtime.getRuntime().halt(1);
    }
}
