package io.egressproxy.autoconfigure;

import io.egressproxy.HealthCheck;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyUrl;
import io.egressproxy.netty.ProxySslContexts;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.routing.SettingsReload;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.BeanFactoryUtils;
import org.springframework.beans.factory.ListableBeanFactory;
import org.springframework.util.ClassUtils;

/**
 * Looks whether everything exists that settings refer to by its name: strategies, health checks, SSL bundles, and what the proxy service needs on
 * the class path. Before anything is made of the settings, so that all that is missing is said at once.
 */
final class SettingsReferences implements SettingsReload.Part {
    private static final List<String> JSON =
            List.of("com.fasterxml.jackson.databind.ObjectMapper", "tools.jackson.databind.ObjectMapper");
    private static final String JVM_TRUST = "";

    private final ListableBeanFactory beans;
    private final ProxySslContexts tls;
    private final Set<String> builtInChecks;

    /**
     * References that are looked up.
     *
     * @param beans asked for names only: the beans themselves may depend on what comes of the settings
     * @param tls has the contexts of SSL bundles
     * @param builtInChecks the methods of health checks that need no bean
     */
    SettingsReferences(ListableBeanFactory beans, ProxySslContexts tls, Set<String> builtInChecks) {
        this.beans = beans;
        this.tls = tls;
        this.builtInChecks = builtInChecks;
    }

    @Override
    public SettingsReload.Change prepare(ProxySettings next) {
        List<SettingsProblem> problems = problems(next);
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(problems);
        }
        return () -> {};
    }

    List<SettingsProblem> problems(ProxySettings settings) {
        List<SettingsProblem> problems = new ArrayList<>();
        Set<String> strategies = names(ProxySelectionStrategy.class);
        Set<String> checks = names(HealthCheck.class);
        settings.entries().forEach((property, entry) -> {
            if (entry.usesPool()) {
                strategy(property + ".strategy", entry.strategy(), strategies, problems);
                check(property + ".health-check.method", entry.healthCheck().method(), checks, problems);
            }
            bundles(property, entry, problems);
        });
        if (settings.enabled() && settings.externalService().enabled()) {
            service(settings.externalService(), problems);
        }
        return problems;
    }

    private Set<String> names(Class<?> type) {
        return Set.of(BeanFactoryUtils.beanNamesForTypeIncludingAncestors(beans, type, true, false));
    }

    private static void strategy(String property, String name, Set<String> own, List<SettingsProblem> problems) {
        try {
            ProxyPool.verifyStrategy(name, own::contains);
        } catch (IllegalArgumentException unknown) {
            problems.add(new SettingsProblem(property, String.valueOf(unknown.getMessage()), null));
        }
    }

    private void check(String property, String method, Set<String> own, List<SettingsProblem> problems) {
        if (!builtInChecks.contains(method) && !own.contains(method)) {
            problems.add(new SettingsProblem(
                    property,
                    "is '" + SettingsProblem.shown(method)
                            + "', and there is no such check: use handshake, tcp, http, ping, or the name of a"
                            + " HealthCheck bean",
                    null));
        }
    }

    private void bundles(String path, ProxyEntry entry, List<SettingsProblem> problems) {
        Map<String, String> properties = new TreeMap<>(); // of the first that names it, by the bundle
        List<PoolMember> pool = entry.pool() == null ? List.of() : entry.pool();
        for (int i = 0; i < pool.size(); i++) {
            bundle(pool.get(i), path + ".pool[" + i + "]", path, entry, properties);
        }
        PoolMember single = entry.single();
        if (single != null) {
            bundle(single, path, path, entry, properties);
        }
        properties.forEach((name, property) -> bundle(property + ".ssl-bundle", name, problems));
    }

    private static void bundle(
            PoolMember member, String ownPath, String path, ProxyEntry entry, Map<String, String> properties) {
        String own = member.sslBundle();
        String name = own != null ? own : entry.sslBundle();
        if (member.url().scheme() == ProxyUrl.Scheme.HTTPS || name != null) {
            // also the JVM's trust: built here, not on an event loop
            properties.putIfAbsent(name == null ? JVM_TRUST : name, own != null ? ownPath : path);
        }
    }

    private void bundle(String property, String name, List<SettingsProblem> problems) {
        try {
            tls.get(name.equals(JVM_TRUST) ? null : name);
        } catch (SSLException | RuntimeException unusable) {
            problems.add(new SettingsProblem(
                    property,
                    "names the SSL bundle '" + SettingsProblem.shown(name)
                            + "', which does not exist or cannot be used; define it under"
                            + " spring.ssl.bundle (a new bundle needs a restart)",
                    null));
        }
    }

    private void service(ExternalServiceSettings service, List<SettingsProblem> problems) {
        ClassLoader classLoader = ClassUtils.getDefaultClassLoader();
        if (names(ProxyServiceClient.class).isEmpty()
                && JSON.stream().noneMatch(mapper -> ClassUtils.isPresent(mapper, classLoader))) {
            problems.add(new SettingsProblem(
                    "proxy.external-service.enabled",
                    "needs Jackson on the class path, since the proxy service speaks JSON; add"
                            + " spring-boot-starter-json, or a ProxyServiceClient bean of your own",
                    null));
        }
        @Nullable String bundle = service.sslBundle();
        if (bundle != null) {
            bundle("proxy.external-service.ssl-bundle", bundle, problems);
        }
    }
}
