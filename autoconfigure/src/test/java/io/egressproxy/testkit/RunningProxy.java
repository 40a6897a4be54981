package io.egressproxy.testkit;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * A real proxy program. It is started by the first call that needs it to run ({@link #port()}, {@link #url()}, ...),
 * so that listing all kinds costs nothing and a missing program skips only the tests that use it.
 */
public interface RunningProxy {

    /** What parameterized tests show, for example {@code microsocks socks5 +credentials}. */
    String name();

    /** The program that speaks with the client, for example {@code squid}. */
    String program();

    /** One of {@code http}, {@code https}, {@code socks4}, {@code socks4a}, {@code socks5}. */
    String scheme();

    /** The address at which the proxy listens, always 127.0.0.1. */
    default String host() {
        return LoopbackPorts.HOST;
    }

    /** The port, which stays the same over {@link #stop()} and {@link #start()}; starts the proxy when it never ran. */
    int port();

    /** What the proxy demands, or {@code null} when it serves everybody. */
    @Nullable
    Credentials credentials();

    default @Nullable String username() {
        Credentials credentials = credentials();
        return credentials == null ? null : credentials.username();
    }

    default @Nullable String password() {
        Credentials credentials = credentials();
        return credentials == null ? null : credentials.password();
    }

    /** The loopback address from which the proxy's own connections come: it tells the target which proxy called. */
    String egressAddress();

    /** Whether {@link ProxyLab#PROXY_ONLY_NAME} works through this proxy, on this machine. */
    boolean resolvesProxyOnlyName();

    /** The proxy's URL, with percent-encoded credentials when it demands any; starts the proxy when it never ran. */
    default String url() {
        Credentials credentials = credentials();
        String user = credentials == null
                ? ""
                : PercentEncoding.encode(credentials.username())
                        + ":"
                        + PercentEncoding.encode(credentials.password())
                        + "@";
        return scheme() + "://" + user + host() + ":" + port();
    }

    /** Starts the proxy, on the same port as before, and waits until it accepts connections; no effect if it runs. */
    void start();

    /** Kills the proxy (SIGKILL) with all its connections and waits until its port refuses connections. */
    void stop();

    /**
     * Stops the proxy's processes (SIGSTOP): a black hole. The kernel still accepts connections, and open tunnels pass
     * nothing on.
     */
    void freeze();

    /** Ends {@link #freeze()} (SIGCONT). */
    void thaw();

    /** What the program wrote, its access log included. */
    Path logFile();
}
