package io.egressproxy.autoconfigure;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.netty.ProxySslContexts;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.ProxyAnswers;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceBreaker;
import io.egressproxy.service.ServiceConnection;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import io.micrometer.observation.ObservationRegistry;
import io.netty.handler.ssl.SslContext;
import java.util.List;
import java.util.UUID;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.context.SmartLifecycle;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.util.ClassUtils;
import reactor.netty.resources.LoopResources;

/** The proxy service, if there is one: started and ended with the application. */
final class ProxyDelegation implements SmartInitializingSingleton, SmartLifecycle, DisposableBean {
    /** Stopped after all that may still connect, and before the event loops (0), which the last reports need. */
    private static final int PHASE = 1;

    private static final int RANDOM_LENGTH = 8;
    private static final List<String> JSON =
            List.of("com.fasterxml.jackson.databind.ObjectMapper", "tools.jackson.databind.ObjectMapper");

    private final @Nullable ServiceDelegation delegation;
    private volatile boolean running;

    private ProxyDelegation(@Nullable ServiceDelegation delegation) {
        this.delegation = delegation;
    }

    static ProxyDelegation none() {
        return new ProxyDelegation(null);
    }

    static ProxyDelegation of(
            ProxySettings settings,
            ProxySettingsSource source,
            ConfigurableEnvironment environment,
            ProxySslContexts tls,
            LoopResources loops,
            ObservationRegistry observations,
            @Nullable ProxyServiceClient ownClient,
            @Nullable AnswerStore store,
            @Nullable ServiceBreaker breaker,
            ProxyEventListener events) {
        ExternalServiceSettings service = settings.externalService();
        ClassLoader classLoader = ClassUtils.getDefaultClassLoader();
        if (ownClient == null && JSON.stream().noneMatch(mapper -> ClassUtils.isPresent(mapper, classLoader))) {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy.external-service.enabled",
                    "needs Jackson on the class path, since the proxy service speaks JSON; add"
                            + " spring-boot-starter-json, or a ProxyServiceClient bean of your own",
                    null)));
        }
        String bundle = service.sslBundle();
        if (bundle != null) {
            context(tls, bundle); // a wrong one stops the start
        }
        ServiceConnection connection = new ServiceConnection(
                service,
                loops,
                () -> bundle == null ? null : context(tls, bundle),
                () -> source.credentials(settings),
                observations);
        return new ProxyDelegation(new ServiceDelegation(
                settings,
                clientId(service, environment),
                connection,
                ownClient,
                store == null ? AnswerStore.plain(service.cache().maxEntries()) : store,
                service.circuitBreakerEnabled() ? breaker : null,
                loops,
                events));
    }

    private static SslContext context(ProxySslContexts tls, String bundle) {
        try {
            return tls.get(bundle);
        } catch (SSLException | RuntimeException unusable) {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy.external-service.ssl-bundle",
                    "names the SSL bundle '" + bundle + "', which does not exist or cannot be used; define it under"
                            + " spring.ssl.bundle",
                    null)));
        }
    }

    private static String clientId(ExternalServiceSettings service, ConfigurableEnvironment environment) {
        return service.clientId().isEmpty()
                ? environment.getProperty("spring.application.name", "application") + "-"
                        + UUID.randomUUID().toString().substring(0, RANDOM_LENGTH)
                : service.clientId();
    }

    @Nullable
    ServiceDelegation delegation() {
        return delegation;
    }

    @Nullable
    ProxyAnswers answers() {
        return delegation == null ? null : delegation.answers();
    }

    @Override
    public void afterSingletonsInstantiated() {
        if (delegation != null) {
            delegation.start();
        }
    }

    @Override
    public void start() {
        running = true;
    }

    @Override
    public void stop() {
        running = false;
        if (delegation != null) {
            delegation.sayGoodbye();
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return PHASE;
    }

    @Override
    public void destroy() {
        if (delegation != null) {
            delegation.close();
        }
    }
}
