package io.egressproxy.service;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import org.jspecify.annotations.Nullable;

/**
 * What the service is told of one use of a proxy that it gave. The first eight fields are those of the specification; the others
 * are left out for a service that does not take them.
 *
 * @param proxyUrl the proxy as the service wrote it, or null where it would travel in the clear
 * @param exchangeId the exchange
 * @param connectionType {@code http} or {@code websocket}
 * @param success whether the connection was of use; true as well where {@code event} says that it is no outcome
 * @param latencyMs from asking for the connection until the tunnel stood, or null
 * @param errorDetails a code of {@link FeedbackError}, a colon and what was seen; null for a success
 * @param timestamp when it happened, in UTC (ISO 8601)
 * @param clientId which application instance reports
 * @param event {@code connection_started} or {@code connection_closed}; null for an outcome
 * @param proxyId the service's name for the proxy, or null
 * @param blame whose fault a failure was, or null
 * @param ageMs how long ago it happened when the report left, by a clock that nobody sets
 * @param correlationId what the request that led to the proxy was sent with, or null
 */
public record ProxyFeedback(
        @JsonProperty("proxy_url") @Nullable String proxyUrl,
        @JsonProperty("exchange_id") String exchangeId,
        @JsonProperty("connection_type") String connectionType,
        @JsonProperty("success") boolean success,
        @JsonProperty("latency_ms") @Nullable Long latencyMs,
        @JsonProperty("error_details") @Nullable String errorDetails,
        @JsonProperty("timestamp") String timestamp,
        @JsonProperty("client_id") String clientId,
        @JsonProperty("event") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String event,
        @JsonProperty("proxy_id") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String proxyId,
        @JsonProperty("blame") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String blame,
        @JsonProperty("age_ms") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable Long ageMs,
        @JsonProperty("correlation_id") @JsonInclude(JsonInclude.Include.NON_NULL) @Nullable String correlationId) {

    /** The same with the fields of the specification only. */
    ProxyFeedback plain() {
        return new ProxyFeedback(
                proxyUrl,
                exchangeId,
                connectionType,
                success,
                latencyMs,
                errorDetails,
                timestamp,
                clientId,
                null,
                null,
                null,
                null,
                null);
    }

    /** The same for an endpoint to which it would travel in the clear. */
    ProxyFeedback withoutUrl() {
        return new ProxyFeedback(
                null,
                exchangeId,
                connectionType,
                success,
                latencyMs,
                errorDetails,
                timestamp,
                clientId,
                event,
                proxyId,
                blame,
                ageMs,
                correlationId);
    }

    /** Whether it tells how a connection went, rather than that there is one. */
    boolean isOutcome() {
        return event == null;
    }

    /** Without the URL, which holds credentials. */
    @Override
    public String toString() {
        return "ProxyFeedback[exchange=" + exchangeId + ", type=" + connectionType + ", proxy=" + proxyId + ", "
                + (event != null ? event : success ? "success" : errorDetails) + "]";
    }
}
