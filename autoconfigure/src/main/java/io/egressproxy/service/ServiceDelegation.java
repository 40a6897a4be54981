package io.egressproxy.service;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import io.netty.resolver.dns.DnsServerAddressStreamProviders;
import java.net.URI;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.DoubleSupplier;
import org.jspecify.annotations.Nullable;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.resources.LoopResources;

/** All that it takes to have the service choose the proxies, put together. Started and closed with the application. */
public final class ServiceDelegation implements AutoCloseable {
    private final ProxySettings settings;
    private final ServiceConnection connection;
    private final ServiceEndpoints endpoints;
    private final ProxyAnswers answers;
    private final Feedback feedback;
    private final EndpointMonitor monitor;
    private final @Nullable SrvDiscovery discovery;
    private final Scheduler scheduler;

    /**
     * A delegation that does nothing until it is started.
     *
     * @param settings all settings
     * @param clientId which application instance this is
     * @param connection speaks HTTP
     * @param ownClient a client of the application's own, or null for the built-in one
     * @param store where answers are kept
     * @param breaker leaves a failing service alone; null for a plain one
     * @param loops the event loops to run on; not closed here
     * @param events told of each request to the service
     */
    public ServiceDelegation(
            ProxySettings settings,
            String clientId,
            ServiceConnection connection,
            @Nullable ProxyServiceClient ownClient,
            AnswerStore store,
            @Nullable ServiceBreaker breaker,
            LoopResources loops,
            ProxyEventListener events) {
        ExternalServiceSettings service = settings.externalService();
        this.settings = settings;
        this.connection = connection;
        this.scheduler = Schedulers.fromExecutorService(loops.onClient(true).next());
        this.endpoints = new ServiceEndpoints(
                service.endpoints().stream().map(URI::create).toList(), clientId, System::nanoTime);
        DoubleSupplier random = () -> ThreadLocalRandom.current().nextDouble();
        AnswerValidator validator = new AnswerValidator(service, random);
        Scheduler telling = Schedulers.newSingle("proxy-feedback", true);
        ProxyServiceClient client = ownClient != null
                ? ownClient
                : new WebProxyServiceClient(
                        service,
                        endpoints,
                        connection,
                        new WebFeedback(service, endpoints, connection, telling, System::nanoTime),
                        validator,
                        events,
                        System::nanoTime);
        this.answers = new ProxyAnswers(
                settings,
                clientId,
                client,
                store,
                breaker != null
                        ? breaker
                        : service.circuitBreakerEnabled() ? new PlainServiceBreaker(System::nanoTime) : new NoBreaker(),
                this.scheduler,
                validator,
                events,
                System::nanoTime,
                random);
        this.feedback = new Feedback(
                service.feedback(),
                clientId,
                client,
                new PlainServiceBreaker(System::nanoTime),
                events,
                answers::invalidate,
                telling,
                System::nanoTime);
        if (service.feedback().enabled() && client.takesFeedback()) {
            answers.reportTo(feedback);
        }
        String srvName = service.discovery().srvName();
        this.discovery = srvName == null
                ? null
                : new SrvDiscovery(
                        service, srvName, endpoints, loops, DnsServerAddressStreamProviders.platformDefault());
        this.monitor = new EndpointMonitor(service.healthCheck(), endpoints, connection, answers::serviceIsBack);
    }

    /**
     * The answers of the service.
     *
     * @return always the same
     */
    public ProxyAnswers answers() {
        return answers;
    }

    /**
     * Where the service is, and what is known of it.
     *
     * @return each endpoint with {@code up}, {@code down} (by its health check), {@code avoided} (a request to it has just failed) or
     *     {@code left_alone} (as it asked for)
     */
    public Map<String, String> endpoints() {
        return endpoints.states();
    }

    /**
     * Whether the service is asked at present.
     *
     * @return false if it is known to be down, or its breaker or a pause keeps it from being asked
     */
    public boolean isAvailable() {
        return answers.isAvailable();
    }

    /**
     * What the breaker of requests says.
     *
     * @return for example {@code closed}
     */
    public String breakerState() {
        return answers.breakerState();
    }

    /** Begins to check the endpoints, and asks for what {@code warm-up} names. Does not block. */
    public void start() {
        answers.limitStore();
        if (discovery != null) {
            discovery.start(scheduler);
        }
        monitor.start(scheduler);
        answers.warmUp(settings.externalService().cache().warmUp().stream()
                .map(ExchangeId::of)
                .flatMap(exchange -> Arrays.stream(ConnectionType.values()).map(type -> ProxyTarget.of(exchange, type)))
                .toList());
    }

    /** Forgets all answers that are kept: whatever comes next must not use them. */
    void forgetAnswers() {
        answers.forgetAll();
    }

    /** Another one takes its place; null if it is no successor at the same service. */
    void retire(@Nullable ServiceDelegation successor) {
        answers.retire(successor == null ? null : successor.answers);
    }

    /** Nothing that is known of the service before counts: it is another one. */
    void startAnew() {
        answers.serviceIsBack();
    }

    /**
     * Whether connections can be expected to get a proxy of the service's.
     *
     * @return true if it is asked, or answers of it are kept that have not expired
     */
    public boolean serves() {
        return isAvailable() || answers.hasUsableAnswers();
    }

    /** Tells the service what it has not been told yet, for at most {@code feedback.shutdown-timeout}, and nothing from then on. */
    public void sayGoodbye() {
        feedback.close();
    }

    @Override
    public void close() {
        if (discovery != null) {
            discovery.close();
        }
        feedback.close();
        monitor.close();
        answers.close();
        connection.close();
    }
}
