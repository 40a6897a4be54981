package io.egressproxy;

import java.time.Duration;
import java.util.List;

/** Several listeners, told one after the other. */
record ProxyEventListeners(List<ProxyEventListener> all) implements ProxyEventListener {
    @Override
    public void decided(ProxyTarget target, ProxyDecision decision) {
        all.forEach(listener -> listener.decided(target, decision));
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision) {
        all.forEach(listener -> listener.fellBack(target, reason, decision));
    }

    @Override
    public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
        all.forEach(listener -> listener.ended(target, decision, outcome, took));
    }

    @Override
    public void serviceRequest(String endpoint, String outcome, String correlationId, Duration took) {
        all.forEach(listener -> listener.serviceRequest(endpoint, outcome, correlationId, took));
    }

    @Override
    public void feedback(String outcome, long count) {
        all.forEach(listener -> listener.feedback(outcome, count));
    }
}
