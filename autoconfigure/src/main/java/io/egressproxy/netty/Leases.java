package io.egressproxy.netty;

import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.util.Collection;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/** Who a channel asks what it has to do. */
interface Leases {
    /** What a connection to this host and port is for. */
    ProxyTarget target(String host, int port);

    /**
     * A lease for a connection, without the proxies that have failed for it, if it is known at once.
     *
     * @return null if that takes time: then it has to be {@linkplain #lease waited for}
     * @throws ProxyConnectionException if the connection is refused
     */
    @Nullable
    ProxyLease leaseAtOnce(ProxyTarget target, Collection<ProxyUrl> tried) throws ProxyConnectionException;

    /** The same for whoever got null. */
    Mono<ProxyLease> lease(ProxyTarget target, Collection<ProxyUrl> tried);

    /** Whether there is anything else to try once a proxy has failed as a whole. */
    default boolean haveOthers() {
        return true;
    }

    /** Whether a connection to this host and port that did this when it was opened could be opened so today. */
    boolean leadsTo(String host, int port, ProxyDecision earlier);
}
