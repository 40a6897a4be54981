package io.egressproxy;

import java.time.Duration;

/**
 * One use of a route: taken when a connection is about to be opened, closed when that connection has ended. Counts,
 * draining and feedback hang on it, so that it has to be closed exactly once, with the truth.
 *
 * <p>Thread-safe.
 */
public interface ProxyLease {

    /**
     * What the lease was taken for.
     *
     * @return the target as it was asked for
     */
    ProxyTarget target();

    /**
     * What to do.
     *
     * @return {@link ProxyDecision.UseProxy} or {@link ProxyDecision.Direct}; a refusal has no lease
     */
    ProxyDecision decision();

    /**
     * Says that the target has answered through the connection, which then goes on. Optional, at most once, and the earlier the
     * better: a WebSocket may live for days, and its proxy should not be doubted until it ends. Does not block.
     *
     * @param latency from asking for the connection until the tunnel stood
     */
    void established(Duration latency);

    /**
     * Gives the lease back. Does not block; later calls do nothing.
     *
     * @param outcome how the connection ended
     */
    void close(Outcome outcome);
}
