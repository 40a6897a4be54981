package io.egressproxy.service;

import io.egressproxy.settings.ExchangeSettings;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Schedulers;

/** The delegation in force, if there is one, and how another takes its place while the application runs. Thread-safe. */
public final class ServiceDelegations implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(ServiceDelegations.class);
    private static final Duration SLACK = Duration.ofSeconds(1);

    private final Function<ProxySettings, ServiceDelegation> factory;
    private final Set<ServiceDelegation> retired = ConcurrentHashMap.newKeySet();
    private volatile InForce current;
    private volatile boolean closed;

    private record InForce(ProxySettings settings, @Nullable ServiceDelegation delegation) {}

    /** Another delegation, or none, that has been made and does nothing as yet. */
    public final class Prepared {
        private final InForce next;

        private Prepared(InForce next) {
            this.next = next;
        }

        /**
         * The answers that will be in force.
         *
         * @return null if no service is asked
         */
        public @Nullable ProxyAnswers answers() {
            return next.delegation() == null ? null : next.delegation().answers();
        }

        /**
         * Puts it in force.
         *
         * @param swap makes everybody use {@link #answers()}
         */
        public void apply(Runnable swap) {
            InForce before = current;
            ServiceDelegation old = before.delegation();
            ServiceDelegation made = next.delegation();
            if (Objects.equals(old, made)) {
                current = next;
                swap.run();
                return;
            }
            boolean sameService = made != null && old != null && isSameService(before.settings(), next.settings());
            if (old != null) {
                old.retire(sameService ? made : null); // first: what is forgotten stays forgotten
                if (!sameService) {
                    old.forgetAnswers();
                }
            }
            current = next;
            swap.run();
            if (made != null) {
                start(made, sameService);
            }
            if (old != null) {
                end(old, before.settings().externalService());
            }
        }

        /** It is in force by now: what fails here, such as a breaker of the application's own, must not leave it half so. */
        private void start(ServiceDelegation made, boolean sameService) {
            try {
                if (!sameService) {
                    made.startAnew();
                }
            } catch (RuntimeException failed) {
                log.warn("The breaker of the proxy service cannot be told that the service is another one", failed);
            }
            made.start();
        }

        /** It will not be needed. */
        public void discard() {
            if (next.delegation() != null && !Objects.equals(current.delegation(), next.delegation())) {
                next.delegation().close();
            }
        }
    }

    /**
     * The delegation of these settings, which does nothing until it is started.
     *
     * @param settings all settings
     * @param factory makes a delegation; what it throws is passed on
     */
    public ServiceDelegations(ProxySettings settings, Function<ProxySettings, ServiceDelegation> factory) {
        this.factory = factory;
        this.current = new InForce(settings, isWanted(settings) ? factory.apply(settings) : null);
    }

    private static boolean isWanted(ProxySettings settings) {
        return settings.enabled() && settings.externalService().enabled();
    }

    /**
     * The delegation in force.
     *
     * @return null if no service is asked
     */
    public @Nullable ServiceDelegation current() {
        return current.delegation();
    }

    /**
     * Makes what other settings need.
     *
     * @param next the settings
     * @return the delegation in force if it will do
     */
    public Prepared prepare(ProxySettings next) {
        InForce before = current;
        boolean same = isWanted(next) == isWanted(before.settings())
                && (!isWanted(next)
                        || (next.externalService().equals(before.settings().externalService())
                                && sent(next).equals(sent(before.settings()))));
        ServiceDelegation delegation = same ? before.delegation() : isWanted(next) ? factory.apply(next) : null;
        return new Prepared(new InForce(next, delegation));
    }

    /** What is sent with the requests for each exchange. */
    private static Map<Object, List<Object>> sent(ProxySettings settings) {
        return settings.exchanges().entrySet().stream()
                .collect(Collectors.toMap(Map.Entry::getKey, exchange -> sent(exchange.getValue())));
    }

    private static List<Object> sent(ExchangeSettings exchange) {
        return List.of(Objects.requireNonNullElse(exchange.region(), ""), exchange.metadata());
    }

    /** Whether answers of before hold: they come from the same service, and nothing forbids them now. */
    private static boolean isSameService(ProxySettings before, ProxySettings next) {
        ExternalServiceSettings one = before.externalService();
        ExternalServiceSettings other = next.externalService();
        boolean sameEndpoints = one.endpoints().equals(other.endpoints())
                || one.endpoints().stream().anyMatch(other.endpoints()::contains);
        boolean noneForbidden =
                other.allowedProxyHosts().isEmpty() || one.allowedProxyHosts().equals(other.allowedProxyHosts());
        return sameEndpoints && one.discovery().equals(other.discovery()) && noneForbidden;
    }

    /** Connections may still wait for it; then it tells the service what it has not been told yet. */
    private void end(ServiceDelegation delegation, ExternalServiceSettings settings) {
        retired.add(delegation);
        if (closed) {
            close(delegation);
            return;
        }
        Schedulers.boundedElastic()
                .schedule(
                        () -> {
                            delegation.sayGoodbye();
                            close(delegation);
                        },
                        settings.fallbackAfter().plus(SLACK).toMillis(),
                        TimeUnit.MILLISECONDS);
    }

    private void close(ServiceDelegation delegation) {
        if (retired.remove(delegation)) {
            delegation.close();
        }
    }

    /** Tells the service what it has not been told yet. */
    public void sayGoodbye() {
        ServiceDelegation delegation = current();
        if (delegation != null) {
            delegation.sayGoodbye();
        }
    }

    @Override
    public void close() {
        closed = true;
        Collection<ServiceDelegation> left = List.copyOf(retired);
        left.forEach(this::close);
        ServiceDelegation delegation = current();
        if (delegation != null) {
            delegation.close();
        }
    }
}
