package io.egressproxy.autoconfigure;

import io.egressproxy.service.ProxyAnswers;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.service.ServiceDelegations;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.context.Lifecycle;
import org.springframework.context.Phased;

/** The proxy service, if there is one: started and ended with the application. */
final class ProxyDelegation implements SmartInitializingSingleton, Lifecycle, Phased, DisposableBean {
    /** Stopped after all that may still connect, and before the event loops (0), which the last reports need. */
    private static final int PHASE = 1;

    private final ServiceDelegations delegations;
    // from when it is made: a bean that Spring would start is made in every application, also while switched off
    private volatile boolean running = true;

    ProxyDelegation(ServiceDelegations delegations) {
        this.delegations = delegations;
    }

    ServiceDelegations delegations() {
        return delegations;
    }

    @Nullable
    ProxyAnswers answers() {
        ServiceDelegation delegation = delegations.current();
        return delegation == null ? null : delegation.answers();
    }

    @Override
    public void afterSingletonsInstantiated() {
        ServiceDelegation delegation = delegations.current();
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
        delegations.sayGoodbye();
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
        delegations.close();
    }
}
