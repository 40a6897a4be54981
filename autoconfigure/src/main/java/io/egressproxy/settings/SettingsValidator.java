package io.egressproxy.settings;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyUrl;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** Finds everything that is wrong with settings whose values each have the right type. */
final class SettingsValidator {
    private static final Pattern STATUSES = Pattern.compile("[1-5][0-9]{2}(-[1-5][0-9]{2})?");
    private static final Duration MAX_TIMEOUT = Duration.ofSeconds(300);
    private static final int MAX_ATTEMPTS = 16;

    private final List<SettingsProblem> problems = new ArrayList<>();

    private SettingsValidator() {}

    static List<SettingsProblem> problems(
            ConnectionProxies defaults,
            Map<ExchangeId, ExchangeSettings> exchanges,
            ExternalServiceSettings externalService,
            ReloadSettings reload) {
        SettingsValidator validator = new SettingsValidator();
        for (ConnectionType type : ConnectionType.values()) {
            validator.entry("proxy.default." + type.id(), defaults.entry(type), true);
        }
        validator.exchanges(exchanges);
        validator.externalService("proxy.external-service.", externalService);
        validator.positive("proxy.reload.quiet-period", reload.quietPeriod());
        return validator.problems;
    }

    private void exchanges(Map<ExchangeId, ExchangeSettings> exchanges) {
        Map<HostPattern, ExchangeId> claims = new HashMap<>();
        exchanges.forEach((id, settings) -> {
            String path = "proxy.exchanges." + key(id);
            check(
                    !id.equals(ExchangeId.DEFAULT),
                    path,
                    "is a reserved id; write what every exchange uses under proxy.default");
            for (ConnectionType type : ConnectionType.values()) {
                ProxyEntry entry = settings.entry(type);
                entry(path + "." + type.id(), entry, false);
                check(
                        entry == null || !entry.direct() || !settings.requireProxy(),
                        path + ".require-proxy",
                        "is true together with " + type.id() + ".direct: remove one of them");
            }
            for (HostPattern host : settings.hosts()) {
                ExchangeId other = claims.putIfAbsent(host, id);
                check(
                        other == null || other.equals(id),
                        path + ".hosts",
                        "claims " + host + ", as exchange '" + other + "' does; let one of them have it and use"
                                + " ProxyInjector.webClient(id) for the other");
            }
        });
    }

    static String key(ExchangeId id) {
        return id.toString().indexOf('.') < 0 ? id.toString() : "[" + id + "]";
    }

    private void entry(String path, @Nullable ProxyEntry entry, boolean isDefault) {
        if (entry == null) {
            return;
        }
        List<PoolMember> pool = entry.pool() == null ? List.of() : entry.pool();
        timeoutSeconds(path, entry.timeoutSeconds());
        check(
                !entry.direct() || (entry.url() == null && pool.isEmpty()),
                path + ".direct",
                "is true together with a proxy; remove the proxy or direct");
        check(
                entry.url() == null || pool.isEmpty() || entry.poolEnabled() != null,
                path,
                "has both url and pool; remove one, or say with pool-enabled: true or false which is used");
        check(
                !isDefault || entry.pool() == null || entry.url() != null || !entry.inherits(),
                path + ".pool",
                "has no enabled proxy; the default needs at least one, or remove the pool");
        pool(path, pool, entry.healthCheck());
        notBlank(path + ".strategy", entry.strategy());
        between(path + ".max-attempts", entry.maxAttempts(), 1, MAX_ATTEMPTS);
        positive(path + ".attempt-timeout", entry.attemptTimeout());
        check(
                entry.attemptTimeout().compareTo(MAX_TIMEOUT) <= 0,
                path + ".attempt-timeout",
                "must be at most " + MAX_TIMEOUT.toSeconds() + "s");
        healthCheck(path + ".health-check.", entry.healthCheck());
        circuitBreaker(path + ".circuit-breaker.", entry.circuitBreaker());
    }

    private void timeoutSeconds(String path, @Nullable Integer seconds) {
        if (seconds != null) {
            between(path + ".timeout-seconds", seconds, 1, (int) MAX_TIMEOUT.toSeconds());
        }
    }

    /** Makes no text for a member that is well: there may be ten thousand. */
    private void pool(String path, List<PoolMember> pool, HealthCheckSettings healthCheck) {
        Set<List<Object>> identities = new HashSet<>();
        for (int i = 0; i < pool.size(); i++) {
            PoolMember member = pool.get(i);
            ProxyUrl url = member.url();
            if (url == null) {
                problem(member(path, i) + ".url", "is missing; write the proxy's URL, for example socks5://proxy:1080");
                continue;
            }
            String user = url.credentials() == null ? "" : url.credentials().username();
            if (!identities.add(List.of(url.scheme(), url.host(), url.port(), user))) {
                problem(
                        member(path, i) + ".url",
                        "is the same proxy as an earlier one of this pool (" + url + "); remove it, or use weight");
            }
            if (member.timeoutSeconds() != null) {
                timeoutSeconds(member(path, i), member.timeoutSeconds());
            }
            if (!(member.weight() >= 0.1 && member.weight() <= 10)) { // so that NaN is wrong, too
                problem(member(path, i) + ".weight", "must be from 0.1 to 10, but is " + member.weight());
            }
            Duration timeout = member.healthCheckTimeout();
            if (timeout != null) {
                positive(member(path, i) + ".health-check-timeout", timeout);
                check(
                        timeout.compareTo(healthCheck.interval()) <= 0,
                        member(path, i) + ".health-check-timeout",
                        "must not be longer than health-check.interval");
            }
        }
    }

    private static String member(String path, int index) {
        return path + ".pool[" + index + "]";
    }

    private void healthCheck(String path, HealthCheckSettings check) {
        notBlank(path + "method", check.method());
        check(
                !check.method().equals("http") || check.url() != null,
                path + "url",
                "is missing, and method http has no default; write the URL to ask for through the proxy");
        String url = check.url();
        check(
                url == null || isHttp(url),
                path + "url",
                "must be an http or https URL, for example https://health.example.org/");
        check(
                url == null || !hasUserInfo(url),
                path + "url",
                "must not hold credentials: it is asked for through the proxy, and is shown in reports");
        boolean statuses = !check.expectedStatus().isBlank();
        for (String range : check.expectedStatus().split(",")) {
            statuses &= STATUSES.matcher(range.strip()).matches();
        }
        check(statuses, path + "expected-status", "must be status codes or ranges of them, such as 200 or 200-299,301");
        positive(path + "interval", check.interval());
        positive(path + "timeout", check.timeout());
        check(
                check.timeout().compareTo(check.interval()) <= 0
                        || check.interval().isZero(),
                path + "timeout",
                "must not be longer than the interval");
        between(path + "healthy-threshold", check.healthyThreshold(), 1, 100);
        between(path + "unhealthy-threshold", check.unhealthyThreshold(), 1, 100);
    }

    private void circuitBreaker(String path, CircuitBreakerSettings breaker) {
        between(path + "failure-threshold", breaker.failureThreshold(), 1, 1000);
        positive(path + "open-for", breaker.openFor());
        check(
                breaker.maxOpenFor().compareTo(breaker.openFor()) >= 0,
                path + "max-open-for",
                "must not be shorter than open-for");
        between(path + "max-ejected-percent", breaker.maxEjectedPercent(), 0, 100);
    }

    private void externalService(String path, ExternalServiceSettings service) {
        check(
                !service.enabled()
                        || !service.endpoints().isEmpty()
                        || service.discovery().srvName() != null,
                path + "endpoints",
                "is empty, but the service is enabled; write its URLs, or discovery.srv-name");
        for (int i = 0; i < service.endpoints().size(); i++) {
            endpoint(path + "endpoints[" + i + "]", service.endpoints().get(i), service.allowInsecureHttp());
        }
        check(
                !service.enabled()
                        || service.authMethod() != ExternalServiceSettings.AuthMethod.MUTUAL_TLS
                        || service.sslBundle() != null,
                path + "ssl-bundle",
                "is missing, but auth-method is mutual_tls; name the SSL bundle that holds the client certificate");
        resolved(path + "auth-credentials.token", service.authCredentials().token());
        resolved(path + "auth-credentials.api-key", service.authCredentials().apiKey());
        resolved(path + "region", service.region());
        between(path + "timeout-seconds", service.timeoutSeconds(), 1, 60);
        positive(path + "fallback-after", service.fallbackAfter());
        between(path + "cache-ttl-seconds", service.cacheTtlSeconds(), 60, 3600);
        between(path + "min-ttl-seconds", service.minTtlSeconds(), 0, 3600);
        between(path + "rollout-percent", service.rolloutPercent(), 0, 100);
        positive(path + "discovery.refresh-interval", service.discovery().refreshInterval());
        between(path + "cache.max-entries", service.cache().maxEntries(), 1, 10_000_000);
        check(
                !service.cache().staleIfError().isNegative(),
                path + "cache.stale-if-error",
                "must not be negative, write 0s to switch it off");
        ExternalServiceSettings.Retry retry = service.retry();
        between(path + "retry.max-attempts", retry.maxAttempts(), 1, 100);
        positive(path + "retry.initial-backoff", retry.initialBackoff());
        check(
                retry.maxBackoff().compareTo(retry.initialBackoff()) >= 0,
                path + "retry.max-backoff",
                "must not be shorter than initial-backoff");
        check(retry.multiplier() >= 1, path + "retry.multiplier", "must be at least 1, but is " + retry.multiplier());
        check(
                retry.jitter() >= 0 && retry.jitter() <= 1,
                path + "retry.jitter",
                "must be from 0 to 1, but is " + retry.jitter());
        check(
                service.healthCheck().path().startsWith("/"),
                path + "health-check.path",
                "must start with '/', for example /health");
        positive(path + "health-check.interval", service.healthCheck().interval());
        positive(path + "health-check.timeout", service.healthCheck().timeout());
        check(
                service.healthCheck().timeout().compareTo(service.healthCheck().interval()) <= 0
                        || service.healthCheck().interval().isZero(),
                path + "health-check.timeout",
                "must not be longer than the interval");
        feedback(path + "feedback.", service.feedback());
    }

    private void feedback(String path, ExternalServiceSettings.Feedback feedback) {
        between(path + "queue-capacity", feedback.queueCapacity(), 1, 1_000_000);
        between(path + "batch-size", feedback.batchSize(), 1, 256);
        positive(path + "flush-interval", feedback.flushInterval());
        positive(path + "urgent-flush-interval", feedback.urgentFlushInterval());
        check(
                feedback.flushInterval().isNegative()
                        || feedback.flushInterval().isZero()
                        || feedback.urgentFlushInterval().compareTo(feedback.flushInterval()) <= 0,
                path + "urgent-flush-interval",
                "must not be longer than flush-interval");
        check(!feedback.compressAbove().isNegative(), path + "compress-above", "must not be negative, write 1KB");
        positive(path + "max-age", feedback.maxAge());
        check(!feedback.shutdownTimeout().isNegative(), path + "shutdown-timeout", "must not be negative, write 2s");
    }

    private void endpoint(String path, String endpoint, boolean allowInsecureHttp) {
        URI uri = uri(endpoint);
        if (uri == null || !isHttp(endpoint)) {
            problem(path, "must be an http or https URL, for example https://proxy-service.example.org:8080");
            return;
        }
        check(uri.getRawUserInfo() == null, path, "must not hold credentials; write them under auth-credentials");
        check(
                uri.getRawQuery() == null && uri.getRawFragment() == null,
                path,
                "must not hold a query or a fragment; write credentials under auth-credentials");
        check(
                allowInsecureHttp || ExternalServiceSettings.isConfidential(uri),
                path,
                "is http, which would send credentials in the clear; write https, or set allow-insecure-http: true");
    }

    private static boolean hasUserInfo(String url) {
        URI uri = uri(url);
        return uri != null && uri.getRawUserInfo() != null;
    }

    private void resolved(String property, @Nullable String value) {
        check(
                value == null || !value.contains("${"),
                property,
                "holds a placeholder that nothing resolves; set the variable it names");
    }

    private static boolean isHttp(String text) {
        URI uri = uri(text);
        return uri != null
                && uri.getHost() != null
                && ("http".equalsIgnoreCase(uri.getScheme()) || "https".equalsIgnoreCase(uri.getScheme()));
    }

    private static @Nullable URI uri(String text) {
        try {
            return new URI(text);
        } catch (URISyntaxException invalid) {
            return null; // its message quotes the text, which may hold a credential
        }
    }

    private void notBlank(String property, String value) {
        check(!value.isBlank(), property, "must not be empty");
    }

    private void positive(String property, Duration value) {
        check(
                !value.isNegative() && !value.isZero(),
                property,
                "must be longer than zero; write seconds, or such as 500ms or 2m");
    }

    private void between(String property, int value, int least, int most) {
        check(value >= least && value <= most, property, "must be from " + least + " to " + most + ", but is " + value);
    }

    private void check(boolean holds, String property, String message) {
        if (!holds) {
            problem(property, message);
        }
    }

    private void problem(String property, String message) {
        problems.add(new SettingsProblem(property, message, null));
    }
}
