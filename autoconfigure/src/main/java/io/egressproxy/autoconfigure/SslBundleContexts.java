package io.egressproxy.autoconfigure;

import io.egressproxy.netty.ProxySslContexts;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.ssl.NoSuchSslBundleException;
import org.springframework.boot.ssl.SslBundle;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.boot.ssl.SslOptions;

/** TLS contexts from Spring Boot's SSL bundles, each built once and again when its bundle is reloaded. */
final class SslBundleContexts implements ProxySslContexts {
    private static final Logger log = LoggerFactory.getLogger(SslBundleContexts.class);
    private static final String JVM_TRUST = "";

    private final @Nullable SslBundles bundles;
    private final Map<String, SslContext> contexts = new ConcurrentHashMap<>();
    private final Set<String> watched = ConcurrentHashMap.newKeySet();

    /**
     * Contexts that are built as they are asked for.
     *
     * @param bundles null if the application has none
     */
    SslBundleContexts(@Nullable SslBundles bundles) {
        this.bundles = bundles;
    }

    @Override
    public SslContext get(@Nullable String sslBundle) throws SSLException {
        String name = sslBundle == null ? JVM_TRUST : sslBundle;
        SslContext kept = contexts.get(name);
        if (kept != null) {
            return kept;
        }
        SslContext built = sslBundle == null ? SslContextBuilder.forClient().build() : watched(sslBundle);
        SslContext reloaded = contexts.putIfAbsent(name, built);
        return reloaded == null ? built : reloaded;
    }

    private SslContext watched(String name) throws SSLException {
        if (bundles == null) {
            throw new NoSuchSslBundleException(name, "there are no SSL bundles");
        }
        SslBundle bundle = bundles.getBundle(name);
        if (watched.add(name)) {
            bundles.addBundleUpdateHandler(name, reloaded -> reload(name, reloaded));
        }
        return build(bundle);
    }

    /** On the thread that reloads bundles, so that no event loop has to build the context. */
    private void reload(String name, SslBundle bundle) {
        try {
            contexts.put(name, build(bundle));
        } catch (SSLException unusable) {
            log.warn("SSL bundle '{}' was reloaded and cannot be used; proxies keep the one before", name, unusable);
        }
    }

    private static SslContext build(SslBundle bundle) throws SSLException {
        SslOptions options = bundle.getOptions();
        return SslContextBuilder.forClient()
                .keyManager(bundle.getManagers().getKeyManagerFactory())
                .trustManager(bundle.getManagers().getTrustManagerFactory())
                .ciphers(SslOptions.asSet(options.getCiphers()))
                .protocols(options.getEnabledProtocols())
                .build();
    }
}
