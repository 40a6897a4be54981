package io.egressproxy;

import java.time.Duration;
import java.util.List;

/**
 * Hears what happens to connections and to the proxy service. Beans of this type are called in their order, on event loops and for
 * each connection: they must not block, and must not throw.
 */
public interface ProxyEventListener {

    /** Hears nothing. */
    ProxyEventListener NONE = new ProxyEventListener() {};

    /**
     * A connection has been decided on. If it is not refused, it will {@linkplain #ended end}.
     *
     * @param target what it is for
     * @param decision what it does
     */
    default void decided(ProxyTarget target, ProxyDecision decision) {}

    /**
     * A connection does not get what was meant for it: the proxy service does not serve, or no proxy is left. Told after
     * {@link #decided}.
     *
     * @param target what it is for
     * @param reason why: {@code service_down}, {@code no_proxy}, {@code proxy_failed}, {@code no_proxy_left}, or what a request
     *     to the service ended with, see {@link #serviceRequest}
     * @param decision what it does instead
     */
    default void fellBack(ProxyTarget target, String reason, ProxyDecision decision) {}

    /**
     * A connection has ended, or could not be opened this way.
     *
     * @param target what it was for
     * @param decision what it did
     * @param outcome how it ended
     * @param took from the decision to the end
     */
    default void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {}

    /**
     * An endpoint of the proxy service has been asked for a proxy.
     *
     * @param endpoint its URL
     * @param outcome {@code success}, {@code unreachable}, {@code timeout}, {@code tls}, {@code server_error}, {@code throttled},
     *     {@code not_found}, {@code invalid_answer}, {@code rejected} or {@code unauthorized}
     * @param correlationId what the request was sent with
     * @param took until the answer
     */
    default void serviceRequest(String endpoint, String outcome, String correlationId, Duration took) {}

    /**
     * Reports about the service's proxies have left, or have been dropped.
     *
     * @param outcome {@code accepted}; or {@code dropped_overflow}, {@code dropped_expired}, {@code dropped_failed}, {@code
     *     dropped_rejected}, {@code dropped_too_large}, {@code dropped_not_supported} or {@code dropped_shutdown}
     * @param count how many
     */
    default void feedback(String outcome, long count) {}

    /**
     * Several as one.
     *
     * @param listeners called in their order
     * @return a listener that costs nothing if there are none
     */
    static ProxyEventListener of(List<ProxyEventListener> listeners) {
        return switch (listeners.size()) {
            case 0 -> NONE;
            case 1 -> listeners.get(0);
            default -> new ProxyEventListeners(List.copyOf(listeners));
        };
    }
}
