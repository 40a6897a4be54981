package io.egressproxy.autoconfigure;

import io.egressproxy.ProxyReload;
import io.egressproxy.routing.SettingsWatch;
import io.egressproxy.settings.ProxySettings;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.SmartInitializingSingleton;
import reactor.core.scheduler.Schedulers;

/** Watches the files of the settings while the application runs, if {@code proxy.reload.watch} says so. */
final class ProxySettingsWatching implements SmartInitializingSingleton, DisposableBean {
    private static final Logger log = LoggerFactory.getLogger(ProxySettingsWatching.class);

    private final ProxySettings settings;
    private final ProxySettingsSource source;
    private final ProxyReload reload;
    private @Nullable SettingsWatch watch;

    ProxySettingsWatching(ProxySettings settings, ProxySettingsSource source, ProxyReload reload) {
        this.settings = settings;
        this.source = source;
        this.reload = reload;
    }

    @Override
    public void afterSingletonsInstantiated() {
        if (!settings.enabled() || !settings.reload().watch()) {
            return;
        }
        if (!source.isUsed()) {
            log.warn(
                    "proxy.reload.watch has no effect: the settings are made by a ProxySettings bean of the application");
            return;
        }
        if (!source.hasFiles()) {
            log.warn("proxy.reload.watch has no effect: no configuration comes from a file that could change");
            return;
        }
        watch = new SettingsWatch(
                source::fingerprint,
                reload,
                settings.reload().quietPeriod(),
                Schedulers.newSingle("proxy-reload", true),
                System::nanoTime);
        watch.start();
    }

    @Override
    public void destroy() {
        if (watch != null) {
            watch.close();
        }
    }
}
