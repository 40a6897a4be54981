package io.egressproxy.service;

import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.TimeUnit;

/** A breaker of Resilience4j, with its configuration, its metrics and its events. */
public final class Resilience4jServiceBreaker implements ServiceBreaker {
    private final CircuitBreaker breaker;

    /**
     * Uses a breaker.
     *
     * @param breaker the breaker
     */
    public Resilience4jServiceBreaker(CircuitBreaker breaker) {
        this.breaker = breaker;
    }

    @Override
    public boolean isOpen() {
        return breaker.getState() == CircuitBreaker.State.OPEN
                || breaker.getState() == CircuitBreaker.State.FORCED_OPEN;
    }

    @Override
    public String state() {
        return breaker.getState().name().toLowerCase(Locale.ROOT);
    }

    @Override
    public boolean tryAcquire() {
        return breaker.tryAcquirePermission();
    }

    @Override
    public void succeeded(Duration took) {
        breaker.onSuccess(took.toNanos(), TimeUnit.NANOSECONDS);
    }

    @Override
    public void failed(Duration took, Throwable cause) {
        breaker.onError(took.toNanos(), TimeUnit.NANOSECONDS, cause);
    }

    @Override
    public void released() {
        breaker.releasePermission();
    }

    @Override
    public void suspectRecovery() {
        if (breaker.getState() == CircuitBreaker.State.OPEN) {
            breaker.transitionToHalfOpenState();
        }
    }
}
