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
 * Keeps a client that is not on Reactor Netty from connecting where it would need a proxy. Such a client cannot be routed;
 * the JDK's even takes a SOCKS proxy for none and connects directly without a word.
 */
public final class UnroutedClientGuard implements ClientHttpRequestInterceptor, ExchangeFilterFunction {
    private static final Logger log = LoggerFactory.getLogger(UnroutedClientGuard.class);

    private final ProxyRouter router;
    private final boolean followsRedirects;
    private final Set<String> announced = ConcurrentHashMap.newKeySet();

    /**
     * A guard.
     *
     * @param router decides where a proxy is needed
     * @param followsRedirects whether the client follows redirects by itself, which nobody can check: then it is refused every
     *     request
     */
    public UnroutedClientGuard(ProxyRouter router, boolean followsRedirects) {
        this.router = router;
        this.followsRedirects = followsRedirects;
    }

    /**
     * Says once that a kind of client is guarded.
     *
     * @param client what the user calls it
     * @param builder what it is built on
     * @param property the property that chooses another one
     */
    public void announce(String client, Class<?> builder, String property) {
        if (announced.add(client)) {
            log.warn(
                    "The auto-configured {} is built on {} and cannot be routed through proxies. Its requests to hosts"
                            + " that need a proxy are refused. Set {}=reactor to have them routed.",
                    client,
                    builder.getSimpleName(),
                    property);
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
                            "it may be redirected by the target, past this check, to a host that needs a proxy; set"
                                    + " spring.http.client.redirects=dont-follow and"
                                    + " spring.http.reactiveclient.redirects=dont-follow, or")
                    : null;
        }
        return refusal(target, "it would connect directly;");
    }

    private static ProxyConnectionException refusal(ProxyTarget target, String reason) {
        return new ProxyConnectionException(
                target,
                List.of(),
                "this client is not built on Reactor Netty, and " + reason
                        + " set spring.http.client.factory=reactor and spring.http.reactiveclient.connector=reactor",
                null);
    }
}
