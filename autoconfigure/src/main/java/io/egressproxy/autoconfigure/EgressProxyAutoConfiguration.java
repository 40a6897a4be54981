package io.egressproxy.autoconfigure;

import io.egressproxy.ConnectionType;
import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyReload;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.actuate.ProxyHealth;
import io.egressproxy.netty.ClientRoutes;
import io.egressproxy.netty.NettyHealthChecks;
import io.egressproxy.netty.NettyProxyInjector;
import io.egressproxy.netty.ProxySslContexts;
import io.egressproxy.observability.ProxyAudit;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.routing.RoutingPart;
import io.egressproxy.routing.SettingsReload;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceBreaker;
import io.egressproxy.service.ServiceDelegations;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.ProxySettingsCustomizer;
import io.egressproxy.settings.SettingsProblem;
import io.micrometer.observation.ObservationRegistry;
import java.time.Clock;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.springframework.beans.factory.InitializingBean;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.context.annotation.Lazy;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.http.client.ReactorResourceFactory;
import org.springframework.util.ClassUtils;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.client.ReactorNettyWebSocketClient;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.netty.http.HttpResources;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.LoopResources;

/**
 * Auto-configuration of {@link ProxySettings}, {@link ProxyInjector} and a {@link WebSocketClient} that is routed by host.
 *
 * <p>They are there while {@code proxy.enabled} is false as well, so that code that asks for them starts; they touch no client
 * then. All that is made without being asked for is the settings, so that mistakes in them are told, and what Spring makes for its lifecycle.
 */
@AutoConfiguration(
        afterName = {
            "org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration",
            "org.springframework.boot.autoconfigure.reactor.netty.ReactorNettyConfigurations",
            "org.springframework.boot.reactor.netty.autoconfigure.ReactorNettyConfigurations"
        })
@ConditionalOnClass({HttpClient.class, WebClient.class})
@ImportRuntimeHints({ProxySettingsBinder.Hints.class, ProxySettingsSource.Hints.class, BuilderTransport.Hints.class})
@Lazy
public final class EgressProxyAutoConfiguration {

    @Bean
    ProxySettingsSource proxySettingsSource(
            ConfigurableEnvironment environment, ObjectProvider<ProxySettingsCustomizer> customizers) {
        return new ProxySettingsSource(environment, customizers);
    }

    @Bean
    @ConditionalOnMissingBean
    ProxySettings proxySettings(ProxySettingsSource source) {
        return source.read();
    }

    @Bean
    SettingsReferences proxySettingsReferences(
            ProxySettings settings, ProxySettingsSource source, ListableBeanFactory beans, ProxySslContexts tls) {
        SettingsReferences references = new SettingsReferences(beans, tls, NettyHealthChecks.METHODS);
        List<SettingsProblem> problems = references.problems(settings);
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(source.located(problems));
        }
        return references;
    }

    /**
     * Makes what works by itself, and whatever finds wrong settings, at the start, also in an application whose beans are lazy. Whether the library is
     * switched on it asks the settings themselves: code may say so that no condition can see.
     */
    @Bean
    @Lazy(false)
    InitializingBean egressProxyStart(
            ProxySettings settings,
            ProxySettingsSource source,
            ObjectProvider<SettingsReferences> verified,
            ObjectProvider<ProxyRouter> router,
            ObjectProvider<ProxyDelegation> delegation,
            ObjectProvider<ProxyHealthMonitoring> monitoring,
            ObjectProvider<ProxySettingsWatching> watching,
            ListableBeanFactory beans) {
        return () -> {
            if (!source.isSwitchedOff()) {
                verified.getIfAvailable();
            }
            if (settings.enabled()) {
                Stream.of(router, delegation, monitoring, watching).forEach(ObjectProvider::getIfAvailable);
            }
            if (settings.enabled() && settings.transparent()) {
                refuseClientsThatNobodyRoutes(beans);
            }
        };
    }

    /** Otherwise they would connect directly without a word. */
    private static void refuseClientsThatNobodyRoutes(ListableBeanFactory beans) {
        boolean configured = beans.getBeanNamesForType(ConfiguredClients.class, true, false).length > 0;
        // by its name: not every application has all the types that its class knows
        if (configured && !beans.containsBeanDefinition("transparentClients")) {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy.enabled",
                    "is true by code that says so after the clients have been configured, which would not be routed;"
                            + " set it in the application's properties, or declare that code with"
                            + " @AutoConfiguration(before = EgressProxyAutoConfiguration.class)",
                    null)));
        }
        if (!configured && hasGroupsOfHttpInterfaces(beans)) {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy.transparent",
                    "is true, but the clients of groups of HTTP interfaces (@ImportHttpServices) cannot be routed without"
                            + " Spring Boot's module for clients; add org.springframework.boot:spring-boot-http-client",
                    null)));
        }
    }

    /** By name, since Spring Framework 6 has none. */
    private static boolean hasGroupsOfHttpInterfaces(ListableBeanFactory beans) {
        String registry = "org.springframework.web.service.registry.HttpServiceProxyRegistry";
        ClassLoader loader = EgressProxyAutoConfiguration.class.getClassLoader();
        return ClassUtils.isPresent(registry, loader)
                && beans.getBeanNamesForType(ClassUtils.resolveClassName(registry, loader), true, false).length > 0;
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyRouter proxyRouter(
            ProxySettings settings,
            SettingsReferences verified,
            Map<String, ProxySelectionStrategy> strategies,
            ProxyDelegation delegation,
            ObjectProvider<ProxyEventListener> events) {
        return new ProxyRouter(settings, strategies::get, delegation.answers(), events(events));
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyDelegation proxyDelegation(
            ProxySettings settings,
            SettingsReferences verified,
            ProxySettingsSource source,
            ConfigurableEnvironment environment,
            ProxySslContexts tls,
            ObjectProvider<ReactorResourceFactory> resources,
            ObjectProvider<ObservationRegistry> observations,
            ObjectProvider<ProxyServiceClient> ownClient,
            ObjectProvider<AnswerStore> store,
            ObjectProvider<ServiceBreaker> breaker,
            ObjectProvider<ProxyEventListener> events) {
        ServiceDelegationFactory factory = new ServiceDelegationFactory(
                source,
                environment,
                tls,
                () -> loops(resources),
                () -> observations.getIfAvailable(() -> ObservationRegistry.NOOP),
                ownClient,
                store,
                breaker,
                () -> events(events));
        return new ProxyDelegation(new ServiceDelegations(settings, factory));
    }

    private static ProxyEventListener events(ObjectProvider<ProxyEventListener> listeners) {
        return ProxyEventListener.of(listeners.orderedStream().toList());
    }

    @Bean
    @ConditionalOnMissingBean
    ProxySslContexts proxySslContexts(ObjectProvider<SslBundles> bundles) {
        return new SslBundleContexts(bundles.getIfAvailable());
    }

    @Bean
    @Conditional(OnProxyEnabledCondition.class)
    ProxyHealth proxyHealth(
            ProxyRouter router, ProxyDelegation delegation, ProxyHealthMonitoring monitoring, ProxyReload reload) {
        return new ProxyHealth(
                router::pools,
                () -> delegation.delegations().current(),
                router::hasSingleProxies,
                () -> router.settings().externalService().fallbackToEmbedded(),
                monitoring.monitor()::isOwnNetworkSuspected,
                reload);
    }

    @Bean
    @ConditionalOnMissingBean
    @Conditional(OnProxyEnabledCondition.class)
    ProxyAudit proxyAudit() {
        return new ProxyAudit(null); // the log only
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyReload proxyReload(
            ProxySettingsSource source,
            ProxyRouter router,
            SettingsReferences references,
            ProxyDelegation delegation,
            ProxyHealthMonitoring monitoring,
            ObjectProvider<ProxyEventListener> events) {
        return new SettingsReload(
                router::settings,
                source::readAgain,
                source::located,
                List.of(references, new RoutingPart(router, delegation.delegations()), monitoring::prepare),
                events(events),
                Clock.systemUTC());
    }

    @Bean
    ProxySettingsWatching proxySettingsWatching(
            ProxySettings settings, ProxySettingsSource source, ProxyReload reload) {
        return new ProxySettingsWatching(settings, source, reload);
    }

    @Bean
    @ConditionalOnMissingBean
    ClientRoutes clientRoutes(
            ProxyRouter router, ProxySslContexts tls, ObjectProvider<ReactorResourceFactory> resources) {
        return new ClientRoutes(router, tls, loops(resources));
    }

    @Bean
    @ConditionalOnMissingBean
    NettyHealthChecks proxyHealthChecks(ProxySslContexts tls, ObjectProvider<ReactorResourceFactory> resources) {
        return new NettyHealthChecks(tls, loops(resources));
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyHealthMonitoring proxyHealthMonitoring(
            ProxyRouter router,
            NettyHealthChecks builtIn,
            Map<String, HealthCheck> own,
            ObjectProvider<ReactorResourceFactory> resources,
            ObjectProvider<ProxyEventListener> events) {
        return new ProxyHealthMonitoring(router, builtIn, own, loops(resources), events(events));
    }

    private static LoopResources loops(ObjectProvider<ReactorResourceFactory> resources) {
        ReactorResourceFactory factory = resources.getIfAvailable();
        return factory == null ? HttpResources.get() : factory.getLoopResources();
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyInjector proxyInjector(ProxyRouter router, ClientRoutes routes, ObjectProvider<ConfiguredClients> clients) {
        return new NettyProxyInjector(
                router,
                routes,
                () -> clients.getIfAvailable(PlainClients::new).httpClient(),
                client -> clients.getIfAvailable(PlainClients::new).webClient(client));
    }

    @Bean
    @ConditionalOnMissingBean(WebSocketClient.class)
    ReactorNettyWebSocketClient webSocketClient(ClientRoutes routes, ObjectProvider<ConfiguredClients> clients) {
        return new ReactorNettyWebSocketClient(
                routes.byHost(clients.getIfAvailable(PlainClients::new).httpClient(), ConnectionType.WEBSOCKET));
    }
}
