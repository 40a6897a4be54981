package io.egressproxy.actuate;

import io.egressproxy.ProxyReload;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.egressproxy.service.ServiceDelegation;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The health of what connections depend on. Up as long as connections can be expected to find a proxy; {@code degraded} says that something is
 * out and something else serves instead.
 */
public final class ProxyHealth {
    private static final int MOST_SHOWN = 20;

    private final Supplier<Collection<ProxyPool>> currentPools;
    private final Supplier<@Nullable ServiceDelegation> currentService;
    private final BooleanSupplier singleProxies;
    private final BooleanSupplier fallsBackToEmbedded;
    private final BooleanSupplier ownNetworkSuspected;
    private final ProxyReload reload;

    /**
     * Health of these.
     *
     * @param pools the embedded pools in force
     * @param service the proxy service's client in force, or null if there is none
     * @param singleProxies whether any route leads to a proxy that is in no pool
     * @param fallsBackToEmbedded whether the embedded proxies serve while the service does not
     * @param ownNetworkSuspected whether so many health checks fail that this machine's network must be at fault
     * @param reload knows whether the settings in force are those that are configured
     */
    public ProxyHealth(
            Supplier<Collection<ProxyPool>> pools,
            Supplier<@Nullable ServiceDelegation> service,
            BooleanSupplier singleProxies,
            BooleanSupplier fallsBackToEmbedded,
            BooleanSupplier ownNetworkSuspected,
            ProxyReload reload) {
        this.currentPools = pools;
        this.currentService = service;
        this.singleProxies = singleProxies;
        this.fallsBackToEmbedded = fallsBackToEmbedded;
        this.ownNetworkSuspected = ownNetworkSuspected;
        this.reload = reload;
    }

    /**
     * Health at one moment.
     *
     * @param up whether connections can be expected to find a proxy
     * @param details for people, without secrets
     */
    public record State(boolean up, Map<String, Object> details) {}

    /**
     * The health now. Does no I/O.
     *
     * @return the state
     */
    public State state() {
        Collection<ProxyPool> pools = currentPools.get();
        ServiceDelegation service = currentService.get();
        Map<String, Object> details = new LinkedHashMap<>();
        List<String> reasons = new ArrayList<>();
        boolean serviceServes = service != null && service.isAvailable();
        if (service != null) {
            Map<String, Object> shown = new LinkedHashMap<>();
            shown.put("available", serviceServes);
            shown.put("endpoints", service.endpoints());
            details.put("service", shown);
            if (!serviceServes) {
                reasons.add("the proxy service is not available");
            } else if (service.endpoints().containsValue("down")) {
                reasons.add("endpoints of the proxy service are down");
            }
        }
        Map<String, Object> shownPools = new LinkedHashMap<>();
        int exhausted = 0;
        for (ProxyPool pool : pools) {
            List<Member> members = pool.states();
            long up = members.stream()
                    .filter(member -> member.state() == MemberState.UP)
                    .count();
            Map<String, Object> shown = new LinkedHashMap<>();
            shown.put("proxies", members.size());
            shown.put("up", up);
            if (up < members.size()) {
                Map<String, Object> out = new LinkedHashMap<>();
                members.stream()
                        .filter(member -> member.state() != MemberState.UP)
                        .limit(MOST_SHOWN)
                        .forEach(member -> out.put(
                                member.proxy().toString(), member.state().id()));
                shown.put("out", out);
            }
            long meant = members.stream()
                    .filter(member -> member.state() != MemberState.DRAINED) // that is on purpose
                    .count();
            if (up < meant) {
                reasons.add("pool " + pool.name() + " has " + up + " of " + meant + " proxies up");
            }
            exhausted += up == 0 ? 1 : 0;
            shownPools.put(pool.name(), shown);
        }
        if (!shownPools.isEmpty()) {
            details.put("pools", shownPools);
        }
        if (ownNetworkSuspected.getAsBoolean()) {
            reasons.add(
                    "most proxies fail their health checks at once: this machine's own network is suspected, and no verdict is"
                            + " changed");
        }
        ProxyReload.State configuration = reload.state();
        Map<String, Object> shownConfiguration = new LinkedHashMap<>();
        shownConfiguration.put("state", configuration.rejected() ? "rejected" : "applied");
        if (configuration.rejected()) {
            shownConfiguration.put("since", String.valueOf(configuration.time()));
            shownConfiguration.put("problems", configuration.problems());
            reasons.add("changed settings were rejected, and those before are in force");
        }
        if (!configuration.needRestart().isEmpty()) {
            shownConfiguration.put("need-restart", configuration.needRestart());
        }
        details.put("configuration", shownConfiguration);
        // of a proxy that stands alone nobody knows how it does: it is expected to serve
        boolean embeddedServe = exhausted < pools.size() || singleProxies.getAsBoolean();
        boolean embeddedFallback = service == null || fallsBackToEmbedded.getAsBoolean();
        boolean nothingServes = service == null
                ? !pools.isEmpty() && !embeddedServe
                : !service.serves() && !(embeddedFallback && embeddedServe);
        details.put("degraded", !reasons.isEmpty());
        if (!reasons.isEmpty()) {
            details.put("reasons", reasons);
        }
        return new State(!nothingServes, details);
    }
}
