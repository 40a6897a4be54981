package io.egressproxy.autoconfigure;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.netty.ProxySslContexts;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceBreaker;
import io.egressproxy.service.ServiceConnection;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.observation.ObservationRegistry;
import io.netty.handler.ssl.SslContext;
import java.util.UUID;
import java.util.function.Function;
import java.util.function.Supplier;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.core.env.ConfigurableEnvironment;
import reactor.netty.resources.LoopResources;

/** Makes the client of the proxy service out of whatever the application has, at the start and whenever its settings have changed. */
final class ServiceDelegationFactory implements Function<ProxySettings, ServiceDelegation> {
    private static final int RANDOM_LENGTH = 8;

    private final ProxySettingsSource source;
    private final ProxySslContexts tls;
    private final Supplier<LoopResources> loops;
    private final Supplier<ObservationRegistry> observations;
    private final ObjectProvider<ProxyServiceClient> ownClient;
    private final ObjectProvider<AnswerStore> store;
    private final ObjectProvider<ServiceBreaker> breaker;
    private final Supplier<ProxyEventListener> events;
    private @Nullable AnswerStore usedStore;
    private final String defaultClientId; // the same for the life of the application

    ServiceDelegationFactory(
            ProxySettingsSource source,
            ConfigurableEnvironment environment,
            ProxySslContexts tls,
            Supplier<LoopResources> loops,
            Supplier<ObservationRegistry> observations,
            ObjectProvider<ProxyServiceClient> ownClient,
            ObjectProvider<AnswerStore> store,
            ObjectProvider<ServiceBreaker> breaker,
            Supplier<ProxyEventListener> events) {
        this.source = source;
        this.tls = tls;
        this.loops = loops;
        this.observations = observations;
        this.ownClient = ownClient;
        this.store = store;
        this.breaker = breaker;
        this.events = events;
        this.defaultClientId = environment.getProperty("spring.application.name", "application") + "-"
                + UUID.randomUUID().toString().substring(0, RANDOM_LENGTH);
    }

    @Override
    public ServiceDelegation apply(ProxySettings settings) {
        ExternalServiceSettings service = settings.externalService();
        ProxyServiceClient own = ownClient.getIfAvailable();
        String bundle = service.sslBundle();
        LoopResources eventLoops = loops.get();
        ServiceConnection connection = new ServiceConnection(
                service,
                eventLoops,
                () -> bundle == null ? null : context(bundle),
                () -> source.credentials(settings),
                observations.get());
        return new ServiceDelegation(
                settings,
                service.clientId().isEmpty() ? defaultClientId : service.clientId(),
                connection,
                own,
                store(service),
                service.circuitBreakerEnabled() ? breaker.getIfAvailable() : null,
                eventLoops,
                events.get());
    }

    /** Always the same, so that answers outlive a change of the settings. */
    private synchronized AnswerStore store(ExternalServiceSettings service) {
        if (usedStore == null) {
            AnswerStore own = store.getIfAvailable();
            usedStore = own != null ? own : AnswerStore.plain(service.cache().maxEntries());
        }
        return usedStore;
    }

    private @Nullable SslContext context(String bundle) {
        try {
            return tls.get(bundle);
        } catch (SSLException | RuntimeException unusable) {
            throw new IllegalStateException(
                    "the SSL bundle '" + bundle + "' of proxy.external-service cannot be used any more", unusable);
        }
    }
}
