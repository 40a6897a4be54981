package io.egressproxy.autoconfigure;

import io.egressproxy.ConnectionType;
import io.egressproxy.netty.ProxySslContexts;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.ssl.SslOptions;

/** TLS contexts from Spring Boot's SSL bundles, each built once and again when its bundle is reloaded. */
final class SslBundleContexts implements ProxySslContexts {
    private static final String JVM_TRUST = "";

    private final @Nullable SslBundles bundles;
    private final Map<String, SslContext> contexts = new ConcurrentHashMap<>();
    private final Set<String> watched = ConcurrentHashMap.newKeySet();

    private SslBundleContexts(@Nullable SslBundles bundles) {
        this.bundles = bundles;
    }

    /**
     * The contexts, after a look at each bundle that the settings name.
     *
     * @throws InvalidProxySettingsException if one does not exist or cannot be used
     */
    static SslBundleContexts verified(ProxySettings settings, @Nullable SslBundles bundles) {
        SslBundleContexts contexts = new SslBundleContexts(bundles);
        List<SettingsProblem> problems = new ArrayList<>();
        for (ConnectionType type : ConnectionType.values()) {
            contexts.verify("proxy.default." + type.id(), settings.defaults().entry(type), problems);
            settings.exchanges()
                    .forEach((id, exchange) ->
                            contexts.verify("proxy.exchanges." + id + "." + type.id(), exchange.entry(type), problems));
        }
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(problems);
        }
        return contexts;
    }

    private void verify(String path, @Nullable ProxyEntry entry, List<SettingsProblem> problems) {
        if (entry == null) {
            return;
        }
        Stream<PoolMember> pool = entry.pool() == null ? Stream.empty() : entry.pool().stream();
        Set<String> names = Stream.concat(
                        Stream.ofNullable(entry.sslBundle()),
                        pool.flatMap(member -> Stream.ofNullable(member.sslBundle())))
                .collect(Collectors.toSet());
        for (String name : names) {
            try {
                get(name);
            } catch (SSLException | RuntimeException unusable) {
                problems.add(new SettingsProblem(
                        path + ".ssl-bundle",
                        "names the SSL bundle '" + name + "', which does not exist or cannot be used; define it under"
                                + " spring.ssl.bundle",
                        null));
            }
        }
    }

    @Override
    public SslContext get(@Nullable String sslBundle) throws SSLException {
        String name = sslBundle == null ? JVM_TRUST : sslBundle;
        SslContext kept = contexts.get(name);
        if (kept != null) {
            return kept;
        }
        SslContext built = build(sslBundle);
        contexts.put(name, built);
        return built;
    }

    private SslContext build(@Nullable String name) throws SSLException {
        SslContextBuilder builder = SslContextBuilder.forClient();
        if (name == null) {
            return builder.build();
        }
        if (bundles == null) {
            throw new NoSuchSslBundleException(name, "there are no SSL bundles");
        }
        SslBundle bundle = bundles.getBundle(name);
        if (watched.add(name)) {
            bundles.addBundleUpdateHandler(name, reloaded -> contexts.remove(name));
        }
        SslOptions options = bundle.getOptions();
        return builder.keyManager(bundle.getManagers().getKeyManagerFactory())
                .trustManager(bundle.getManagers().getTrustManagerFactory())
                .ciphers(SslOptions.asSet(options.getCiphers()))
                .protocols(options.getEnabledProtocols())
                .build();
    }
}
