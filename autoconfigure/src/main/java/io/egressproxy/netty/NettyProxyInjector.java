package io.egressproxy.netty;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import java.util.List;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Function;
import java.util.function.Supplier;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.client.ReactorNettyWebSocketClient;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

/** {@link ProxyInjector} on Reactor Netty. Thread-safe. */
public final class NettyProxyInjector implements ProxyInjector {
    private final ProxyRouter router;
    private final ClientRoutes routes;
    private final Supplier<HttpClient> clients;
    private final Function<HttpClient, WebClient.Builder> webClients;

    /**
     * An injector.
     *
     * @param router decides
     * @param routes puts what it decides into clients
     * @param clients a new client as the application configures them
     * @param webClients a new builder as the application configures them, on a client
     */
    public NettyProxyInjector(
            ProxyRouter router,
            ClientRoutes routes,
            Supplier<HttpClient> clients,
            Function<HttpClient, WebClient.Builder> webClients) {
        this.router = router;
        this.routes = routes;
        this.clients = clients;
        this.webClients = webClients;
    }

    @Override
    public HttpClient customize(HttpClient client, String exchangeId, ConnectionType type) {
        return routes.byExchange(client, ExchangeId.of(exchangeId), type);
    }

    @Override
    public WebSocketClient webSocketClient(String exchangeId) {
        return new ReactorNettyWebSocketClient(customize(clients.get(), exchangeId, ConnectionType.WEBSOCKET));
    }

    @Override
    public WebClient.Builder webClient(String exchangeId) {
        return webClients.apply(customize(clients.get(), exchangeId));
    }

    @Override
    public Mono<ProxyDecision> decide(String exchangeId, ConnectionType type) {
        return decide(ProxyTarget.of(ExchangeId.of(exchangeId), type));
    }

    @Override
    public Mono<ProxyDecision> decide(String exchangeId, ConnectionType type, String host) {
        return decide(new ProxyTarget(ExchangeId.of(exchangeId), type, host, 0));
    }

    private Mono<ProxyDecision> decide(ProxyTarget target) {
        return router.decideNow(target);
    }

    @Override
    public Mono<ProxyLease> lease(String exchangeId, ConnectionType type) {
        ProxyTarget target = ProxyTarget.of(ExchangeId.of(exchangeId), type);
        return Mono.defer(() -> {
            AtomicBoolean delivered = new AtomicBoolean();
            // not cancelled with the caller: a lease that nobody gets is given back
            return Mono.<ProxyLease>create(sink -> router.lease(target, List.of())
                            .subscribe(
                                    lease -> {
                                        sink.success(lease);
                                        if (!delivered.get()) {
                                            lease.close(new Outcome.Cancelled());
                                        }
                                    },
                                    sink::error))
                    .doOnNext(lease -> delivered.set(true));
        });
    }
}
