package io.egressproxy.settings;

import io.egressproxy.ConnectionType;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.NestedConfigurationProperty;

/**
 * One entry for each connection type.
 *
 * @param http Proxy or pool for HTTP and REST connections.
 * @param websocket Proxy or pool for WebSocket connections.
 */
public record ConnectionProxies(
        @NestedConfigurationProperty @Nullable ProxyEntry http,
        @NestedConfigurationProperty @Nullable ProxyEntry websocket) {

    static final ConnectionProxies NONE = new ConnectionProxies(null, null);

    /**
     * The entry of a connection type.
     *
     * @param type the type
     * @return the entry, or null if there is none
     */
    public @Nullable ProxyEntry entry(ConnectionType type) {
        return type == ConnectionType.HTTP ? http : websocket;
    }
}
