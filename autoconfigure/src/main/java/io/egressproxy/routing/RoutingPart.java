package io.egressproxy.routing;

import io.egressproxy.service.ServiceDelegations;
import io.egressproxy.settings.ProxySettings;

/** What other settings mean for decisions: other routes and another proxy service, put in force together. */
public final class RoutingPart implements SettingsReload.Part {
    private final ProxyRouter router;
    private final ServiceDelegations delegations;

    /**
     * The part that decides.
     *
     * @param router decides
     * @param delegations the proxy service's client
     */
    public RoutingPart(ProxyRouter router, ServiceDelegations delegations) {
        this.router = router;
        this.delegations = delegations;
    }

    @Override
    public SettingsReload.Change prepare(ProxySettings next) {
        ServiceDelegations.Prepared service = delegations.prepare(next);
        Runnable routes;
        try {
            routes = router.prepare(next, service.answers());
        } catch (RuntimeException | LinkageError rejected) {
            service.discard();
            throw rejected;
        }
        return new SettingsReload.Change() {
            @Override
            public void apply() {
                service.apply(routes);
            }

            @Override
            public void discard() {
                service.discard();
            }
        };
    }
}
