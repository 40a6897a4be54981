package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyTarget;
import java.io.IOException;
import java.net.URI;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpMethod;
import org.springframework.http.client.AbstractClientHttpRequestFactoryWrapper;
import org.springframework.http.client.ClientHttpRequest;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.reactive.ClientHttpConnector;
import org.springframework.http.client.reactive.ClientHttpResponse;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.ExchangeFunction;
import reactor.core.publisher.Mono;

/**
 * Keeps a client that is not routed from connecting where it would need a proxy. One that is not on Reactor Netty cannot be routed; the JDK's even
 * takes a SOCKS proxy for none and connects directly without a word. Stands before the transport, where the application's own interceptors and filters
 * neither remove it nor come after it.
 */
public final class UnroutedClientGuard {
    private static final Logger log = LoggerFactory.getLogger(UnroutedClientGuard.class);

    private final ProxyRouter router;
    private final String problem;
    private final String remedy;
    private final String noRedirects;
    private final Set<String> announced = ConcurrentHashMap.newKeySet();

    private UnroutedClientGuard(ProxyRouter router, String problem, String remedy, String noRedirects) {
        this.router = router;
        this.problem = problem;
        this.remedy = remedy;
        this.noRedirects = noRedirects;
    }

    /**
     * A guard for what is not built on Reactor Netty.
     *
     * @param router decides where a proxy is needed
     * @param transport the property that chooses what the client is built on
     * @param redirects the property that says whether it follows redirects
     * @return the guard
     */
    public static UnroutedClientGuard ofOtherTransports(ProxyRouter router, String transport, String redirects) {
        return new UnroutedClientGuard(
                router,
                "not built on Reactor Netty",
                "set " + transport + "=reactor",
                "set " + redirects + "=dont-follow (on a client that you build, have it follow none)");
    }

    /**
     * A guard for what is built on Reactor Netty, but on a client that has no routes.
     *
     * @param router decides where a proxy is needed
     * @return the guard
     */
    public static UnroutedClientGuard ofOwnClients(ProxyRouter router) {
        return new UnroutedClientGuard(
                router,
                "built on an HttpClient of its own that has no routes",
                "build it on one from ProxyInjector.customize(..), or leave it to Spring Boot",
                "have it follow none");
    }

    /**
     * A guard for clients whose requests a function of the application's own exchanges, however it does.
     *
     * @param router decides where a proxy is needed
     * @param redirects the property that says whether clients follow redirects
     * @return the guard
     */
    public static UnroutedClientGuard ofExchangeFunctions(ProxyRouter router, String redirects) {
        return new UnroutedClientGuard(
                router,
                "given an exchangeFunction, which is used in place of its connector",
                "give it a clientConnector instead, or nothing",
                "if it follows none, set " + redirects + "=dont-follow");
    }

    /**
     * Says once that a kind of client is guarded.
     *
     * @param client what the user calls it
     * @param builder what it is built on
     */
    public void announce(String client, Class<?> builder) {
        if (announced.add(client)) {
            log.warn(
                    "The auto-configured {} is built on {} and cannot be routed through proxies: it is {}. Its requests to hosts"
                            + " that need a proxy are refused. To have them routed, {}.",
                    client,
                    builder.getSimpleName(),
                    problem,
                    remedy);
        }
    }

    /**
     * A guarded transport.
     *
     * @param transport what connects
     * @param followsRedirects whether it follows redirects by itself, which nobody can check: then it is refused every request
     * @return the same, but for requests that need a proxy
     */
    public ClientHttpRequestFactory before(ClientHttpRequestFactory transport, boolean followsRedirects) {
        return new GuardedRequests(this, transport, followsRedirects);
    }

    /**
     * A guarded transport.
     *
     * @param transport what connects
     * @param followsRedirects as above
     * @return the same, but for requests that need a proxy
     */
    public ClientHttpConnector before(ClientHttpConnector transport, boolean followsRedirects) {
        return new GuardedConnector(this, transport, followsRedirects);
    }

    /**
     * A guarded exchange.
     *
     * @param exchange what answers requests
     * @param followsRedirects as above
     * @return the same, but for requests that need a proxy
     */
    public ExchangeFunction before(ExchangeFunction exchange, boolean followsRedirects) {
        return new GuardedExchange(this, exchange, followsRedirects);
    }

    /**
     * Whether a guard stands before it already.
     *
     * @param transport a transport, an exchange, or neither
     * @return whether it came from here
     */
    public static boolean isBefore(@Nullable Object transport) {
        return transport instanceof GuardedRequests
                || transport instanceof GuardedConnector
                || transport instanceof GuardedExchange;
    }

    private static final class GuardedRequests extends AbstractClientHttpRequestFactoryWrapper {
        private final UnroutedClientGuard guard;
        private final boolean followsRedirects;

        GuardedRequests(UnroutedClientGuard guard, ClientHttpRequestFactory transport, boolean followsRedirects) {
            super(transport);
            this.guard = guard;
            this.followsRedirects = followsRedirects;
        }

        @Override
        protected ClientHttpRequest createRequest(URI uri, HttpMethod method, ClientHttpRequestFactory transport)
                throws IOException {
            ProxyConnectionException refusal = guard.refusal(uri, followsRedirects);
            if (refusal != null) {
                throw refusal;
            }
            return transport.createRequest(uri, method);
        }
    }

    private record GuardedConnector(UnroutedClientGuard guard, ClientHttpConnector transport, boolean followsRedirects)
            implements ClientHttpConnector {
        @Override
        public Mono<ClientHttpResponse> connect(
                HttpMethod method,
                URI uri,
                Function<? super org.springframework.http.client.reactive.ClientHttpRequest, Mono<Void>> request) {
            ProxyConnectionException refusal = guard.refusal(uri, followsRedirects);
            return refusal == null ? transport.connect(method, uri, request) : Mono.error(refusal);
        }
    }

    private record GuardedExchange(UnroutedClientGuard guard, ExchangeFunction exchange, boolean followsRedirects)
            implements ExchangeFunction {
        @Override
        public Mono<ClientResponse> exchange(ClientRequest request) {
            ProxyConnectionException refusal = guard.refusal(request.url(), followsRedirects);
            return refusal == null ? exchange.exchange(request) : Mono.error(refusal);
        }
    }

    private @Nullable ProxyConnectionException refusal(URI uri, boolean followsRedirects) {
        String host =
                uri.getHost(); // null also for a host with an underscore, which some clients connect to all the same
        ProxyTarget target = host == null
                ? ProxyTarget.of(ExchangeId.UNMATCHED, ConnectionType.HTTP)
                : router.target(ConnectionType.HTTP, host, uri.getPort());
        if (host != null && router.decide(target) instanceof Direct) {
            return followsRedirects
                    ? refusal(
                            target,
                            "it may be redirected by the target, past this check, to a host that needs a proxy; "
                                    + noRedirects + ", or")
                    : null;
        }
        return refusal(target, "it would connect directly;");
    }

    private ProxyConnectionException refusal(ProxyTarget target, String reason) {
        return new ProxyConnectionException(
                target, List.of(), "this client is " + problem + ", and " + reason + " " + remedy, null);
    }
}
