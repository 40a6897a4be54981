package io.egressproxy;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Hears what happens to connections and to the proxy service. Beans of this type are called in their order, on event loops and for
 * each connection: they must not block, and must not throw.
 */
public interface ProxyEventListener {

    /** Hears nothing. */
    ProxyEventListener NONE = new ProxyEventListener() {
        @Override
        public boolean hearsConnections() {
            return false;
        }
    };

    /**
     * Whether {@link #decided} and {@link #ended} do anything. Asked once; where nobody wants to hear of each connection, nobody
     * looks at the clock for it.
     *
     * @return false if they need not be called
     */
    default boolean hearsConnections() {
        return true;
    }

    /**
     * A connection has been decided on. If it is not refused, it will {@linkplain #ended end}.
     *
     * @param target what it is for
     * @param decision what it does
     * @param correlationId of the request to the proxy service that led to it, or null if none did
     */
    default void decided(ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {}

    /**
     * A connection does not get what was meant for it: the proxy service does not serve, or no proxy is left. Told after
     * {@link #decided}.
     *
     * @param target what it is for
     * @param reason why: {@code service_down}, {@code no_proxy}, {@code proxy_failed}, {@code no_proxy_left}, or what a request
     *     to the service ended with, see {@link #serviceRequest}
     * @param decision what it does instead
     * @param correlationId of the request to the proxy service that failed, or whose answer was of no use; null if none was made
     */
    default void fellBack(ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {}

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
     * The proxy service is asked for a proxy, at whatever endpoints it takes.
     *
     * @param target what the proxy is for, without a host: the answer may serve many connections
     * @param correlationId what the request is sent with
     */
    default void requested(ProxyTarget target, String correlationId) {}

    /**
     * The proxy service has answered.
     *
     * @param target what it was asked for
     * @param correlationId what the request was sent with
     * @param answer its answer, which has been found to be in order
     */
    default void answered(ProxyTarget target, String correlationId, ProxyServiceAnswer answer) {}

    /**
     * The proxy service has given no usable answer.
     *
     * @param target what it was asked for
     * @param correlationId what the request was sent with
     * @param outcome what the last endpoint came to, see {@link #serviceRequest}
     * @param detail the same in words, without secrets
     */
    default void notAnswered(ProxyTarget target, String correlationId, String outcome, String detail) {}

    /**
     * A batch of reports has been sent to the proxy service, once.
     *
     * @param batchId its id, by which the service knows it when it comes again
     * @param reports how many it holds
     * @param outcome {@code accepted}; {@code dropped} if nothing of it will be sent again; or why it was not taken, see {@link
     *     #serviceRequest}
     */
    default void feedbackBatch(String batchId, int reports, String outcome) {}

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
     * A proxy of a pool has been checked.
     *
     * @param pool the pool, for example {@code binance/http}
     * @param proxy the proxy
     * @param outcome {@code succeeded}, {@code failed}, or {@code inconclusive} if this machine could not check it
     * @param took how long the check took
     */
    default void healthChecked(String pool, ProxyUrl proxy, String outcome, Duration took) {}

    /**
     * The settings have been read again at run time.
     *
     * @param outcome {@code applied}, {@code unchanged} if they say what they said before, or {@code rejected} if those before stay in
     *     force
     */
    default void reloaded(String outcome) {}

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
            default -> new ProxyEventListeners(listeners);
        };
    }
}
