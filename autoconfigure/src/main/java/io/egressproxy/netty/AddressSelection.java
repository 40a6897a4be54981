package io.egressproxy.netty;

import java.lang.reflect.Field;
import java.net.SocketAddress;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.util.ReflectionUtils;
import reactor.netty.http.client.HttpClient;
import reactor.netty.http.client.HttpClientConfig;
import reactor.netty.transport.ClientTransport.ResolvedAddressSelector;
import reactor.netty.transport.ClientTransportConfig;

/**
 * What a client says about the addresses that it may connect to, kept for when it connects to the target's own: it would otherwise be asked about
 * the {@link ConnectionPlan}, which holds none. Spring Boot's {@code InetAddressFilter} is such a selector, and guards against requests
 * that somebody else has forged.
 *
 * @param own as it was set
 */
record AddressSelection(ResolvedAddressSelector<? super HttpClientConfig> own)
        implements ResolvedAddressSelector<HttpClientConfig> {

    /** Reactor Netty does not show it. */
    static final Field SELECTOR = Objects.requireNonNull(
            ReflectionUtils.findField(ClientTransportConfig.class, "resolvedAddressesSelector"),
            "this Reactor Netty selects addresses in another way");

    static {
        ReflectionUtils.makeAccessible(SELECTOR);
    }

    /**
     * The client with its selection kept.
     *
     * @param client a client that is being routed
     */
    @SuppressWarnings("unchecked")
    static HttpClient keptBy(HttpClient client) {
        Object selector = ReflectionUtils.getField(SELECTOR, client.configuration());
        return selector == null || selector instanceof AddressSelection
                ? client
                : client.resolvedAddressesSelector(
                        new AddressSelection((ResolvedAddressSelector<? super HttpClientConfig>) selector));
    }

    @Override
    public @Nullable List<? extends SocketAddress> apply(
            HttpClientConfig client, List<? extends SocketAddress> resolved) {
        if (resolved instanceof ConnectionPlan plan) {
            plan.selectBy(addresses -> own.apply(client, addresses));
            return plan;
        }
        return own.apply(client, resolved); // by a resolver that was set after the route
    }
}
