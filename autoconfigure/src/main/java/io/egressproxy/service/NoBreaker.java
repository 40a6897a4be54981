package io.egressproxy.service;

import java.time.Duration;

/** For {@code circuit-breaker-enabled: false}: the service is asked whatever has happened before. */
final class NoBreaker implements ServiceBreaker {
    @Override
    public boolean isOpen() {
        return false;
    }

    @Override
    public String state() {
        return "disabled";
    }

    @Override
    public boolean tryAcquire() {
        return true;
    }

    @Override
    public void succeeded(Duration took) {
        // nothing is counted
    }

    @Override
    public void failed(Duration took, Throwable cause) {
        // nothing is counted
    }

    @Override
    public void released() {
        // nothing was taken
    }

    @Override
    public void suspectRecovery() {
        // it is never away
    }
}
