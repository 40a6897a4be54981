package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.Refuse;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.settings.ExchangeSettings;
import io.egressproxy.settings.HostPattern;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.UnmatchedHosts;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The settings worked out: what each exchange does for each connection type, and which exchange claims a host. Immutable;
 * a look-up costs a map access and, where a host is known, a walk over the host patterns.
 */
final class RouteTable {
    private static final String REFUSED =
            "require-proxy is true for it, and it would connect directly (%s); configure a proxy for it,"
                    + " or remove require-proxy";

    private record Claim(HostPattern pattern, ExchangeId exchange) {}

    private record Routes(Map<ConnectionType, ProxyDecision> byType, boolean requireProxy) {}

    private final ProxySettings settings;
    private final Map<ExchangeId, Routes> exchanges = new LinkedHashMap<>();
    private final Routes defaults;
    private final List<Claim> claims = new ArrayList<>();

    RouteTable(ProxySettings settings) {
        this.settings = settings;
        this.defaults = routes(null);
        settings.exchanges().forEach((id, exchange) -> {
            exchanges.put(id, routes(exchange));
            exchange.hosts().forEach(pattern -> claims.add(new Claim(pattern, id)));
        });
        claims.sort(Comparator.comparing((Claim claim) -> !claim.pattern().isExact())
                .thenComparing(claim -> -claim.pattern().specificity()));
    }

    ProxySettings settings() {
        return settings;
    }

    /** What a connection to this target does. */
    ProxyDecision decide(ProxyTarget target) {
        Routes routes = exchanges.getOrDefault(target.exchange(), defaults);
        String host = target.host();
        if (host != null && settings.noProxy().stream().anyMatch(pattern -> pattern.matches(host))) {
            return direct(Reason.BYPASS, routes.requireProxy());
        }
        return Objects.requireNonNull(routes.byType().get(target.type()));
    }

    /** What a connection does that no exchange claims. */
    ProxyDecision decideUnmatched(ProxyTarget target) {
        return settings.unmatchedHosts() == UnmatchedHosts.DIRECT ? new Direct(Reason.UNMATCHED_HOST) : decide(target);
    }

    /** What a connection does once no proxy is left for it. */
    ProxyDecision decideExhausted(ProxyTarget target) {
        boolean requireProxy =
                exchanges.getOrDefault(target.exchange(), defaults).requireProxy();
        return switch (settings.directFallback()) {
            case ALWAYS -> direct(Reason.FALLBACK, requireProxy);
            case WHEN_DIRECTED, NEVER -> new Refuse("no other proxy is configured for it");
        };
    }

    /** The exchange that claims a host; the closest pattern wins. */
    @Nullable
    ExchangeId exchangeOf(String host) {
        for (Claim claim : claims) {
            if (claim.pattern().matches(host)) {
                return claim.exchange();
            }
        }
        return null;
    }

    private Routes routes(@Nullable ExchangeSettings exchange) {
        boolean requireProxy = exchange != null && exchange.requireProxy();
        Map<ConnectionType, ProxyDecision> byType = new EnumMap<>(ConnectionType.class);
        for (ConnectionType type : ConnectionType.values()) {
            byType.put(type, route(exchange == null ? null : exchange.entry(type), type, requireProxy));
        }
        return new Routes(byType, requireProxy);
    }

    private ProxyDecision route(@Nullable ProxyEntry own, ConnectionType type, boolean requireProxy) {
        ProxyEntry inherited = settings.defaults().entry(type);
        boolean inherits = own == null || own.inherits();
        ProxyEntry entry = inherits ? inherited : own;
        if (settings.externalService().enabled() && !settings.externalService().fallbackToEmbedded()) {
            return new Refuse("this version asks no proxy service yet, and fallback-to-embedded is false");
        }
        if (entry == null || entry.inherits()) {
            return direct(Reason.NOT_CONFIGURED, requireProxy);
        }
        if (entry.direct()) {
            return direct(Reason.CONFIGURED, requireProxy);
        }
        PoolMember member = entry.single();
        if (member == null) {
            return new Refuse("a pool is configured for it, which this version does not serve yet; set pool-enabled:"
                    + " false to use its url, or else the first proxy of the pool");
        }
        // a lone timeout in an entry that inherits says how long the inherited proxy may take
        Integer ownTimeout = inherits && own != null ? own.timeoutSeconds() : null;
        Integer seconds = firstNonNull(ownTimeout, member.timeoutSeconds(), entry.timeoutSeconds());
        return new UseProxy(
                member.url(),
                seconds == null ? ProxyEntry.DEFAULT_TIMEOUT : Duration.ofSeconds(seconds),
                firstNonNull(member.sslBundle(), entry.sslBundle()),
                inherits ? Source.DEFAULT : Source.EXCHANGE);
    }

    private static ProxyDecision direct(Reason reason, boolean requireProxy) {
        return requireProxy ? new Refuse(REFUSED.formatted(reason.text())) : new Direct(reason);
    }

    @SafeVarargs
    private static <T> @Nullable T firstNonNull(@Nullable T... values) {
        for (T value : values) {
            if (value != null) {
                return value;
            }
        }
        return null;
    }
}
