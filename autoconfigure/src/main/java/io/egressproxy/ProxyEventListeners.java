package io.egressproxy;

import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Several listeners, told one after the other. */
final class ProxyEventListeners implements ProxyEventListener {
    private final List<ProxyEventListener> all;
    private final List<ProxyEventListener> ofConnections;

    ProxyEventListeners(List<ProxyEventListener> all) {
        this.all = List.copyOf(all);
        this.ofConnections =
                all.stream().filter(ProxyEventListener::hearsConnections).toList();
    }

    @Override
    public boolean hearsConnections() {
        return !ofConnections.isEmpty();
    }

    @Override
    public void decided(ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {
        ofConnections.forEach(listener -> listener.decided(target, decision, correlationId));
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {
        all.forEach(listener -> listener.fellBack(target, reason, decision, correlationId));
    }

    @Override
    public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
        ofConnections.forEach(listener -> listener.ended(target, decision, outcome, took));
    }

    @Override
    public void requested(ProxyTarget target, String correlationId) {
        all.forEach(listener -> listener.requested(target, correlationId));
    }

    @Override
    public void answered(ProxyTarget target, String correlationId, ProxyServiceAnswer answer) {
        all.forEach(listener -> listener.answered(target, correlationId, answer));
    }

    @Override
    public void notAnswered(ProxyTarget target, String correlationId, String outcome, String detail) {
        all.forEach(listener -> listener.notAnswered(target, correlationId, outcome, detail));
    }

    @Override
    public void feedbackBatch(String batchId, int reports, String outcome) {
        all.forEach(listener -> listener.feedbackBatch(batchId, reports, outcome));
    }

    @Override
    public void serviceRequest(String endpoint, String outcome, String correlationId, Duration took) {
        all.forEach(listener -> listener.serviceRequest(endpoint, outcome, correlationId, took));
    }

    @Override
    public void feedback(String outcome, long count) {
        all.forEach(listener -> listener.feedback(outcome, count));
    }

    @Override
    public void healthChecked(String pool, ProxyUrl proxy, String outcome, Duration took) {
        all.forEach(listener -> listener.healthChecked(pool, proxy, outcome, took));
    }

    @Override
    public void reloaded(String outcome) {
        all.forEach(listener -> listener.reloaded(outcome));
    }
}
