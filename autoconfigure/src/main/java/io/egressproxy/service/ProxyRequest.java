package io.egressproxy.service;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the service is asked: {@code POST /api/v1/proxy/request}.
 *
 * @param exchangeId the exchange, as it is spelled in the settings
 * @param connectionType {@code http} or {@code websocket}
 * @param region where the proxy should be, or null
 * @param clientId which application instance asks
 * @param metadata whatever the settings add; {@code exclude} names proxies that have just failed
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ProxyRequest(
        @JsonProperty("exchange_id") String exchangeId,
        @JsonProperty("connection_type") String connectionType,
        @JsonProperty("region") @Nullable String region,
        @JsonProperty("client_id") String clientId,
        @JsonProperty("metadata") Map<String, Object> metadata) {

    /** The metadata entry that names proxies which the answer should not be. */
    public static final String EXCLUDE = "exclude";

    /** A request whose metadata is copied. */
    public ProxyRequest {
        metadata = Map.copyOf(metadata);
    }

    /** Shows the keys of the metadata only: nobody knows what stands there. */
    @Override
    public String toString() {
        return "ProxyRequest[exchange=" + exchangeId + ", type=" + connectionType + ", region=" + region + ", client="
                + clientId + ", metadata=" + metadata.keySet() + "]";
    }
}
