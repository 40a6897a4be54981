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
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpRequest;
import org.springframework.http.client.ClientHttpRequestExecution;
import org.springframework.http.client.ClientHttpRequestInterceptor;
import org.springframework.http.client.ClientHttpResponse;
import org.springframework.web.reactive.function.client.ClientRequest;
import org.springframework.web.reactive.function.client.ClientResponse;
import org.springframework.web.reactive.function.client.ExchangeFilterFunction;
import org.springframework.web.reactive.function.client.ExchangeFunction;
import reactor.core.publisher.Mono;

/**
 * Keeps a client that is not routed from connecting where it would need a proxy. One that is not on Reactor Netty cannot be routed; the JDK's even
 * takes a SOCKS proxy for none and connects directly without a word.
 */
public final class UnroutedClientGuard implements ClientHttpRequestInterceptor, ExchangeFilterFunction {
    private static final Logger log = LoggerFactory.getLogger(UnroutedClientGuard.class);

    private final ProxyRouter router;
    private final boolean followsRedirects;
    private final String problem;
    private final String remedy;
    private final String redirects;
    private final Set<String> announced = ConcurrentHashMap.newKeySet();

    private UnroutedClientGuard(
            ProxyRouter router, boolean followsRedirects, String problem, String remedy, String redirects) {
        this.router = router;
        this.followsRedirects = followsRedirects;
        this.problem = problem;
        this.remedy = remedy;
        this.redirects = redirects;
    }

    /**
     * A guard for what is not built on Reactor Netty.
     *
     * @param router decides where a proxy is needed
     * @param followsRedirects whether the client follows redirects by itself, which nobody can check: then it is refused every
     *     request
     * @param transport the property that chooses what the client is built on
     * @param redirects the property that says whether it follows redirects
     * @return the guard
     */
    public static UnroutedClientGuard ofOtherTransports(
            ProxyRouter router, boolean followsRedirects, String transport, String redirects) {
        return new UnroutedClientGuard(
                router, followsRedirects, "not built on Reactor Netty", "set " + transport + "=reactor", redirects);
    }

    /**
     * A guard for what is built on Reactor Netty, but on a client that has no routes.
     *
     * @param router decides where a proxy is needed
     * @param followsRedirects as above
     * @param redirects as above
     * @return the guard
     */
    public static UnroutedClientGuard ofOwnClients(ProxyRouter router, boolean followsRedirects, String redirects) {
        return new UnroutedClientGuard(
                router,
                followsRedirects,
                "built on an HttpClient of its own that has no routes",
                "build it on one from ProxyInjector.customize(..), or leave it to Spring Boot",
                redirects);
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

    @Override
    public ClientHttpResponse intercept(HttpRequest request, byte[] body, ClientHttpRequestExecution execution)
            throws IOException {
        ProxyConnectionException refusal = refusal(request.getURI());
        if (refusal != null) {
            throw refusal;
        }
        return execution.execute(request, body);
    }

    @Override
    public Mono<ClientResponse> filter(ClientRequest request, ExchangeFunction next) {
        ProxyConnectionException refusal = refusal(request.url());
        return refusal == null ? next.exchange(request) : Mono.error(refusal);
    }

    private @Nullable ProxyConnectionException refusal(URI uri) {
        String host =
                uri.getHost(); // null also for a host with an underscore, which some clients connect to all the same
        ProxyTarget target = host == null
                ? ProxyTarget.of(ExchangeId.UNMATCHED, ConnectionType.HTTP)
                : router.target(ConnectionType.HTTP, host, uri.getPort());
        if (host != null && router.decide(target) instanceof Direct) {
            return followsRedirects
                    ? refusal(
                            target,
                            "it may be redirected by the target, past this check, to a host that needs a proxy; set "
                                    + redirects + "=dont-follow, or")
                    : null;
        }
        return refusal(target, "it would connect directly;");
    }

    private ProxyConnectionException refusal(ProxyTarget target, String reason) {
        return new ProxyConnectionException(
                target, List.of(), "this client is " + problem + ", and " + reason + " " + remedy, null);
    }
}
