package io.egressproxy.settings;

import io.egressproxy.ConnectionType;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.NestedConfigurationProperty;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What one exchange does otherwise than the default.
 *
 * @param hosts Comma-separated list of hosts by which a transparent client finds this exchange; host, .suffix, *.glob or
 *     CIDR.
 * @param requireProxy Whether this exchange never connects directly, whatever else is configured.
 * @param region Region that is sent to the proxy service.
 * @param metadata Anything else that is sent to the proxy service, as it stands.
 * @param http Proxy or pool for HTTP and REST connections; the default's if nothing is given.
 * @param websocket Proxy or pool for WebSocket connections; the default's if nothing is given.
 */
public record ExchangeSettings(
        @DefaultValue List<HostPattern> hosts,
        @DefaultValue("false") boolean requireProxy,
        @Nullable String region,
        @DefaultValue Map<String, Object> metadata,
        @NestedConfigurationProperty @Nullable ProxyEntry http,
        @NestedConfigurationProperty @Nullable ProxyEntry websocket) {

    /** Settings with every collection copied. */
    public ExchangeSettings {
        hosts = List.copyOf(hosts);
        metadata = Map.copyOf(metadata);
    }

    /**
     * The entry of a connection type.
     *
     * @param type the type
     * @return the entry, or null if the default's applies
     */
    public @Nullable ProxyEntry entry(ConnectionType type) {
        return type == ConnectionType.HTTP ? http : websocket;
    }

    /** Shows the keys of the metadata only: nobody knows what stands there. */
    @Override
    public String toString() {
        return "ExchangeSettings[hosts=" + hosts + ", requireProxy=" + requireProxy + ", region=" + region
                + ", metadata=" + metadata.keySet() + ", http=" + http + ", websocket=" + websocket + "]";
    }
}
