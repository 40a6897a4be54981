package io.egressproxy.autoconfigure;

import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.netty.NettyHealthChecks;
import io.egressproxy.pool.HealthMonitor;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.routing.SettingsReload;
import io.egressproxy.settings.ProxySettings;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.SmartInitializingSingleton;
import reactor.core.scheduler.Schedulers;
import reactor.netty.resources.LoopResources;

/** Starts the health checks with the application and ends them with it. */
final class ProxyHealthMonitoring implements SmartInitializingSingleton, DisposableBean {
    private final ProxyRouter router;
    private final Map<String, HealthCheck> builtIn;
    private final Map<String, HealthCheck> own;
    private final HealthMonitor monitor;

    ProxyHealthMonitoring(
            ProxyRouter router,
            NettyHealthChecks builtIn,
            Map<String, HealthCheck> own,
            LoopResources loops,
            ProxyEventListener events) {
        this.router = router;
        this.builtIn = builtIn.byMethod();
        this.own = own;
        // not disposed: that would shut the event loop down, which others use
        this.monitor = new HealthMonitor(
                Schedulers.fromExecutorService(loops.onClient(true).next()), events);
    }

    HealthMonitor monitor() {
        return monitor;
    }

    private @Nullable HealthCheck check(String method) {
        return builtIn.containsKey(method) ? builtIn.get(method) : own.get(method);
    }

    /** What other settings mean for the checks. */
    SettingsReload.Change prepare(ProxySettings next) {
        return () -> monitor.update(router.pools(), this::check);
    }

    @Override
    public void afterSingletonsInstantiated() {
        if (router.isEnabled()) {
            monitor.start(router.pools(), this::check);
        }
    }

    @Override
    public void destroy() {
        monitor.close();
    }
}
