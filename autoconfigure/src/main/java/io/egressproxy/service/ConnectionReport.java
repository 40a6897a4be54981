package io.egressproxy.service;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What happened to a connection through a proxy of the service, as the connection's own thread notes it: nothing is put into words
 * yet.
 *
 * @param event what happened
 * @param exchange whose connection
 * @param type of which type
 * @param answer the answer that led to the proxy
 * @param latency until the tunnel stood; for {@link Event#SUCCEEDED} only
 * @param failure what went wrong; for {@link Event#FAILED} only
 * @param atNanos when, on the clock of {@link System#nanoTime}
 */
record ConnectionReport(
        Event event,
        ExchangeId exchange,
        ConnectionType type,
        Answer answer,
        @Nullable Duration latency,
        Outcome.@Nullable Failed failure,
        long atNanos) {

    /** What happened. */
    enum Event {
        STARTED,
        SUCCEEDED,
        FAILED,
        CLOSED
    }

    boolean isUrgent() {
        return event == Event.FAILED;
    }

    ProxyFeedback wire(String clientId, long nowNanos, Instant now) {
        long ageMillis = Math.max(0, Duration.ofNanos(nowNanos - atNanos).toMillis());
        ProxyUrl proxy = answer.proxy();
        String password = proxy == null || proxy.credentials() == null
                ? ""
                : proxy.credentials().password();
        return new ProxyFeedback(
                answer.proxyUrl(),
                ProxyAnswers.wireId(exchange),
                type.id(),
                failure == null,
                latency == null ? null : latency.toMillis(),
                failure == null ? null : FeedbackError.details(failure, password),
                now.minusMillis(ageMillis).toString(),
                clientId,
                switch (event) {
                    case STARTED -> "connection_started";
                    case CLOSED -> "connection_closed";
                    case SUCCEEDED, FAILED -> null;
                },
                answer.proxyId(),
                failure == null ? null : failure.blame().id(),
                ageMillis,
                answer.correlationId().isEmpty() ? null : answer.correlationId());
    }
}
