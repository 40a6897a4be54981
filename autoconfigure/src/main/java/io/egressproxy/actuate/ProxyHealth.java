package io.egressproxy.actuate;

import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.egressproxy.service.ServiceDelegation;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The health of what connections depend on. Up as long as connections can be expected to find a proxy; {@code degraded} says that something is
 * out and something else serves instead.
 */
public final class ProxyHealth {
    private static final int MOST_SHOWN = 20;

    private final Collection<ProxyPool> pools;
    private final @Nullable ServiceDelegation service;

    /**
     * Health of these.
     *
     * @param pools the embedded pools
     * @param service the proxy service's client, or null if there is none
     */
    public ProxyHealth(Collection<ProxyPool> pools, @Nullable ServiceDelegation service) {
        this.pools = List.copyOf(pools);
        this.service = service;
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
                reasons.add("pool " + pool.name() + " has " + up + " of " + members.size() + " proxies up");
            }
            exhausted += up == 0 ? 1 : 0;
            shownPools.put(pool.name(), shown);
        }
        if (!shownPools.isEmpty()) {
            details.put("pools", shownPools);
        }
        boolean poolsServe = exhausted < pools.size();
        boolean nothingServes = service == null ? !pools.isEmpty() && !poolsServe : !serviceServes && !poolsServe;
        details.put("degraded", !reasons.isEmpty());
        if (!reasons.isEmpty()) {
            details.put("reasons", reasons);
        }
        return new State(!nothingServes, details);
    }
}
