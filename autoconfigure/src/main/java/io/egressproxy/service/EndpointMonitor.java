package io.egressproxy.service;

import io.egressproxy.service.ServiceEndpoints.Endpoint;
import io.egressproxy.settings.ExternalServiceSettings;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Asks each endpoint once an interval whether it is there, so that a dead service is known before a connection waits for it. Any
 * answer below 500 will do: the path is not part of the contract.
 */
final class EndpointMonitor implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(EndpointMonitor.class);

    private final ExternalServiceSettings.HealthCheck settings;
    private final ServiceEndpoints endpoints;
    private final ServiceConnection connection;
    private final Runnable whenBack;
    private final Set<Endpoint> down = ConcurrentHashMap.newKeySet();
    private final Disposable.Swap running = Disposables.swap();

    /**
     * A monitor that does nothing until it is started.
     *
     * @param whenBack told when an endpoint is back after all were away
     */
    EndpointMonitor(
            ExternalServiceSettings.HealthCheck settings,
            ServiceEndpoints endpoints,
            ServiceConnection connection,
            Runnable whenBack) {
        this.settings = settings;
        this.endpoints = endpoints;
        this.connection = connection;
        this.whenBack = whenBack;
    }

    void start(Scheduler scheduler) {
        if (settings.enabled()) {
            running.update(Flux.interval(Duration.ZERO, settings.interval(), scheduler)
                    .onBackpressureDrop()
                    .concatMap(tick -> Flux.fromIterable(endpoints.all()).flatMap(this::check), 1)
                    .subscribe());
        }
    }

    private Mono<Void> check(Endpoint endpoint) {
        return connection
                .healthClient()
                .get()
                .uri(endpoint.resolve(settings.path()))
                .headers(headers -> connection.authenticate(headers, connection.credentials()))
                .exchangeToMono(response -> ServiceConnection.discard(response)
                        .thenReturn(response.statusCode().value()))
                .timeout(settings.timeout())
                .doOnNext(status -> seen(endpoint, status < 500, "answers " + status))
                .onErrorResume(failure -> {
                    seen(
                            endpoint,
                            false,
                            "cannot be reached (" + failure.getClass().getSimpleName() + ")");
                    return Mono.empty();
                })
                .then();
    }

    private void seen(Endpoint endpoint, boolean reachable, String detail) {
        // by checks only: a request that fails says nothing about when the service is back
        boolean allWereDown = down.containsAll(endpoints.all());
        if (reachable) {
            down.remove(endpoint);
            endpoints.reachable(endpoint);
        } else {
            down.add(endpoint);
            // until after the next check
            endpoints.down(
                    endpoint, settings.interval().plus(settings.timeout()).multipliedBy(2));
        }
        down.retainAll(endpoints.all());
        boolean allAreDown = down.containsAll(endpoints.all());
        if (allAreDown && !allWereDown) {
            log.atWarn()
                    .addKeyValue("endpoint", endpoint.toString())
                    .addKeyValue("state", "down")
                    .log("The proxy service is down: its health check at {} {}", endpoint, detail);
        } else if (allWereDown && !allAreDown) {
            log.atInfo()
                    .addKeyValue("endpoint", endpoint.toString())
                    .addKeyValue("state", "up")
                    .log("The proxy service is back: its health check at {} {}", endpoint, detail);
            whenBack.run();
        }
    }

    @Override
    public void close() {
        running.dispose();
    }
}
