package io.egressproxy.autoconfigure;

import io.egressproxy.ConnectionType;
import io.egressproxy.netty.ClientRoutes;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.routing.UnroutedClientGuard;
import io.egressproxy.settings.ProxySettings;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.http.client.ClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.ReactorClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.boot.util.LambdaSafe;
import org.springframework.http.client.AbstractClientHttpRequestFactoryWrapper;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.InterceptingClientHttpRequestFactory;
import org.springframework.http.client.ReactorClientHttpRequestFactory;
import org.springframework.http.client.reactive.ClientHttpConnector;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestTemplate;
import org.springframework.web.reactive.function.client.ExchangeFunction;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/**
 * What is done to the clients that Spring Boot configures, whichever generation of it does: those on Reactor Netty are routed, the others guarded.
 * Touches only what has the same name and shape in all of them.
 */
public final class TransparentClients {
    private final ProxySettings settings;
    private final ProxyRouter router;
    private final ClientRoutes routes;

    /**
     * For these settings.
     *
     * @param settings whether clients are touched at all
     * @param router decides where a proxy is needed
     * @param routes the routes
     */
    public TransparentClients(ProxySettings settings, ProxyRouter router, ClientRoutes routes) {
        this.settings = settings;
        this.router = router;
        this.routes = routes;
    }

    private boolean active() {
        return settings.enabled() && settings.transparent();
    }

    /**
     * Routes what reactive clients are built with.
     *
     * @param builder as Spring Boot has it
     * @return the same, routed
     */
    public ReactorClientHttpConnectorBuilder routed(ReactorClientHttpConnectorBuilder builder) {
        return active() ? builder.withHttpClientCustomizer(this::routed) : builder;
    }

    /**
     * Routes what blocking clients are built with.
     *
     * @param builder as Spring Boot has it
     * @return the same, routed
     */
    public ReactorClientHttpRequestFactoryBuilder routed(ReactorClientHttpRequestFactoryBuilder builder) {
        return active() ? builder.withHttpClientCustomizer(this::routed) : builder;
    }

    private HttpClient routed(HttpClient client) {
        return routes.byHost(client, ConnectionType.HTTP);
    }

    /**
     * Guards clients of one kind.
     *
     * @param followsRedirects whether those that do not show it follow redirects by themselves
     * @param transport the property that chooses what they are built on
     * @param redirects the property that says whether they follow redirects
     * @return what each of them has to be shown to
     */
    public Guard guard(boolean followsRedirects, String transport, String redirects) {
        return new Guard(
                followsRedirects,
                UnroutedClientGuard.ofOtherTransports(router, transport, redirects),
                UnroutedClientGuard.ofOwnClients(router),
                UnroutedClientGuard.ofExchangeFunctions(router, redirects));
    }

    /** Keeps clients that are not routed from connecting where a proxy is needed. */
    public final class Guard {
        private final boolean followsRedirects;
        private final UnroutedClientGuard ofOtherTransports;
        private final UnroutedClientGuard ofOwnClients;
        private final UnroutedClientGuard ofExchangeFunctions;

        private Guard(
                boolean followsRedirects,
                UnroutedClientGuard ofOtherTransports,
                UnroutedClientGuard ofOwnClients,
                UnroutedClientGuard ofExchangeFunctions) {
            this.followsRedirects = followsRedirects;
            this.ofOtherTransports = ofOtherTransports;
            this.ofOwnClients = ofOwnClients;
            this.ofExchangeFunctions = ofExchangeFunctions;
        }

        /**
         * Looks at a client that is being built, and routes it if it has no transport yet, or none that can be seen.
         *
         * @param builder the client's
         * @param usual what it connects with unless it was told otherwise, in case the builder does not show that
         */
        public void look(WebClient.Builder builder, Supplier<? extends @Nullable Object> usual) {
            if (!active()) {
                return;
            }
            if (exchangeFunction(builder) instanceof ExchangeFunction exchange
                    && !UnroutedClientGuard.isBefore(exchange)) {
                ofExchangeFunctions.announce("WebClient", exchange.getClass());
                builder.exchangeFunction(ofExchangeFunctions.before(exchange, followsRedirects));
            }
            BuilderTransport found = BuilderTransport.of(builder, "connector");
            if (found.value() instanceof ClientHttpConnector transport) {
                UnroutedClientGuard guard = guard("WebClient", transport);
                if (guard != null) {
                    builder.clientConnector(guard.before(transport, followsRedirects(transport)));
                }
            } else if (found.visible() || !isRouted(usual.get())) {
                builder.clientConnector(new ReactorClientHttpConnector(routed(HttpClient.create())));
            }
        }

        /**
         * Looks at a client that is being built, and routes it if it has no transport yet, or none that can be seen.
         *
         * @param builder the client's
         * @param usual what it connects with unless it was told otherwise, in case the builder does not show that
         */
        public void look(RestClient.Builder builder, Supplier<? extends @Nullable Object> usual) {
            if (!active()) {
                return;
            }
            BuilderTransport found = BuilderTransport.of(builder, "requestFactory");
            if (found.value() instanceof ClientHttpRequestFactory transport) {
                UnroutedClientGuard guard = guard("RestClient", transport);
                if (guard != null) {
                    builder.requestFactory(guard.before(transport, followsRedirects(transport)));
                }
            } else if (found.visible() || !isRouted(usual.get())) {
                builder.requestFactory(new ReactorClientHttpRequestFactory(routed(HttpClient.create())));
            }
        }

        /**
         * Looks at a client, which shows what it was given last, whoever gave it.
         *
         * @param template the client
         */
        public void look(RestTemplate template) {
            ClientHttpRequestFactory transport = template.getRequestFactory();
            if (!template.getInterceptors().isEmpty()
                    && transport instanceof InterceptingClientHttpRequestFactory interceptors) {
                transport = interceptors.getDelegate(); // it adds its interceptors by itself, and would once more
            }
            UnroutedClientGuard guard = active() ? guard("RestTemplate", transport) : null;
            if (guard != null) {
                template.setRequestFactory(guard.before(transport, followsRedirects(transport)));
            }
        }

        private @Nullable UnroutedClientGuard guard(String client, Object transport) {
            Object used = unwrapped(transport);
            if (UnroutedClientGuard.isBefore(transport) || isRouted(used)) {
                return null;
            }
            UnroutedClientGuard guard = isOnReactor(used) ? ofOwnClients : ofOtherTransports;
            guard.announce(client, used.getClass());
            return guard;
        }

        /** What is built on the clients of Reactor Netty or of the JDK shows it; anything else is as it was configured. */
        private boolean followsRedirects(Object transport) {
            Object used = unwrapped(transport);
            Object client = BuilderTransport.of(used, "httpClient").value();
            if (client instanceof HttpClient reactor) {
                return reactor.configuration().followRedirectPredicate() != null;
            }
            if (client instanceof java.net.http.HttpClient jdk) {
                return jdk.followRedirects() != java.net.http.HttpClient.Redirect.NEVER;
            }
            return followsRedirects || isOnReactor(used);
        }
    }

    private static Object unwrapped(Object transport) {
        Object used = transport;
        while (used instanceof AbstractClientHttpRequestFactoryWrapper wrapper) {
            used = wrapper.getDelegate();
        }
        return used;
    }

    private static boolean isOnReactor(Object transport) {
        return transport instanceof ReactorClientHttpConnector || transport instanceof ReactorClientHttpRequestFactory;
    }

    private static boolean isRouted(@Nullable Object transport) {
        boolean madeByABuilder = transport instanceof ReactorClientHttpConnectorBuilder
                || transport instanceof ReactorClientHttpRequestFactoryBuilder; // which we have customized
        return madeByABuilder
                || (transport != null
                        && isOnReactor(transport)
                        && BuilderTransport.of(transport, "httpClient").value() instanceof HttpClient client
                        && ClientRoutes.areIn(client));
    }

    private static @Nullable Object exchangeFunction(WebClient.Builder builder) {
        return BuilderTransport.of(builder, "exchangeFunction").value();
    }

    /**
     * A builder for blocking clients where Spring Boot has none, customized as it would have done.
     *
     * @param customizers the application's, and ours
     * @param type their type, which is another in each generation of Spring Boot
     * @param customize applies one
     * @param <C> their type
     * @return the builder
     */
    public <C> ClientHttpRequestFactoryBuilder<?> requestFactories(
            Stream<? extends C> customizers,
            Class<C> type,
            BiFunction<C, ClientHttpRequestFactoryBuilder<?>, ClientHttpRequestFactoryBuilder<?>> customize) {
        ClientHttpRequestFactoryBuilder<?> builder =
                active() ? ClientHttpRequestFactoryBuilder.reactor() : ClientHttpRequestFactoryBuilder.detect();
        for (C customizer : customizers.toList()) {
            ClientHttpRequestFactoryBuilder<?> before = builder;
            builder = LambdaSafe.callback(type, customizer, before)
                    .<ClientHttpRequestFactoryBuilder<?>>invokeAnd(callback -> customize.apply(callback, before))
                    .get(before); // for a builder of another kind than this one is
        }
        return builder;
    }

    /**
     * The client that Spring Boot has configured. It shows no client, only connectors; but it shows the client to the last customizer.
     *
     * @param connectors what Spring Boot builds connectors with, or null
     * @param build has it build one, as this generation does
     * @return the client, or a plain one where it configures none on Reactor Netty
     */
    public static HttpClient configured(
            @Nullable Object connectors, Consumer<ReactorClientHttpConnectorBuilder> build) {
        AtomicReference<@Nullable HttpClient> configured = new AtomicReference<>();
        if (connectors instanceof ReactorClientHttpConnectorBuilder builder) {
            build.accept(builder.withHttpClientCustomizer(client -> {
                configured.set(client);
                return client;
            }));
        }
        HttpClient client = configured.get();
        return client == null ? HttpClient.create() : client;
    }

    /**
     * A builder of clients as Spring Boot has it, on another client.
     *
     * @param builder as Spring Boot has it
     * @param client the client
     * @return the builder, without the transport that it had
     * @throws IllegalStateException if it has a function that is used in place of any transport
     */
    public static WebClient.Builder on(WebClient.Builder builder, HttpClient client) {
        if (exchangeFunction(builder) != null) {
            throw new IllegalStateException(
                    "A WebClientCustomizer gives clients an exchangeFunction, which is used in place"
                            + " of the routes; give them a clientConnector instead, or nothing");
        }
        return builder.clientConnector(new ReactorClientHttpConnector(client));
    }
}
