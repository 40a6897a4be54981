package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.netty.util.NetUtil;
import java.io.IOException;
import java.net.InetAddress;
import java.time.Duration;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.resources.LoopResources;
import reactor.netty.tcp.TcpClient;

/** The health checks that everybody has. They run on event loops, but for {@code ping}, which blocks. */
public final class NettyHealthChecks implements AutoCloseable {
    private static final String TCP = "tcp";
    private static final String HANDSHAKE = "handshake";
    private static final String HTTP = "http";
    private static final String PING = "ping";

    /** The keys of {@link #byMethod()}, without anything being made. */
    public static final Set<String> METHODS = Set.of(TCP, HANDSHAKE, HTTP, PING);

    /** Where no proxy has anything to do: its own machine's port 1. What counts is that it answers, not what. */
    private static final String NOWHERE = "127.0.0.1";

    private static final int NOWHERE_PORT = 1;
    private static final int PING_THREADS = 16; // as many as checks may run at once

    private final HopResolverGroup hops = new HopResolverGroup();
    private final NameResolution names;
    private final ProxySslContexts tls;
    private final LoopResources loops;
    private final Scheduler pings = Schedulers.newBoundedElastic(PING_THREADS, 1_000, "egress-proxy-ping", 60, true);

    /**
     * Checks.
     *
     * @param tls where the TLS contexts for {@code https} proxies come from
     * @param loops the event loops that they run on
     */
    public NettyHealthChecks(ProxySslContexts tls, LoopResources loops) {
        this.names = new NameResolution(loops);
        this.tls = tls;
        this.loops = loops;
    }

    /**
     * The checks by the names of their methods.
     *
     * @return {@code tcp}, {@code handshake}, {@code http} and {@code ping}
     */
    public Map<String, HealthCheck> byMethod() {
        return Map.of(
                TCP, of(HealthCheck.Level.TCP, this::tcp),
                HANDSHAKE, of(HealthCheck.Level.HANDSHAKE, this::handshake),
                HTTP, of(HealthCheck.Level.TARGET, this::http),
                PING, of(HealthCheck.Level.HOST, this::ping));
    }

    private static HealthCheck of(HealthCheck.Level level, HealthCheck check) {
        return new HealthCheck() {
            @Override
            public Mono<Void> check(Request request) {
                return check.check(request);
            }

            @Override
            public Level level() {
                return level;
            }
        };
    }

    private Mono<Void> tcp(HealthCheck.Request request) {
        return TcpClient.create(ConnectionProvider.newConnection())
                .runOn(loops)
                .host(request.proxy().host())
                .port(request.proxy().port())
                .connect()
                .doOnNext(connection -> connection.dispose())
                .then()
                .onErrorMap(cause -> classified(request.proxy(), cause));
    }

    /** So that what is this machine's fault is not held against the proxy. */
    private static ProxyConnectionException classified(ProxyUrl proxy, Throwable cause) {
        ProxyFault fault = FaultClassifier.tcp(cause);
        ProxyTarget target = new ProxyTarget(ExchangeId.UNMATCHED, ConnectionType.HTTP, proxy.host(), proxy.port());
        return new ProxyConnectionException(
                target,
                List.of(new ProxyConnectionException.Attempt(
                        proxy, fault.stage(), fault.blame(), fault.detail(), fault.advice())),
                null,
                cause);
    }

    /**
     * Asks the proxy for a tunnel to nowhere. Any answer of its protocol shows that it works; the words of a refusal are its
     * business. Wrong credentials, a foreign protocol and silence show that it does not.
     */
    private Mono<Void> handshake(HealthCheck.Request request) {
        return TcpClient.create(ConnectionProvider.newConnection())
                .runOn(loops)
                .resolver(hops)
                .doOnChannelInit(route(request))
                .host(NOWHERE)
                .port(NOWHERE_PORT)
                .connect()
                .doOnNext(connection -> connection.dispose())
                .then()
                .onErrorResume(
                        ProxyConnectionException.class,
                        failure -> answered(failure) ? Mono.empty() : Mono.error(failure));
    }

    private static boolean answered(ProxyConnectionException failure) {
        if (failure.attempts().isEmpty()) {
            return false;
        }
        ProxyConnectionException.Attempt attempt = failure.attempts().get(0);
        if (attempt.stage() != ConnectionStage.HANDSHAKE || attempt.blame() == Blame.CREDENTIALS) {
            return false;
        }
        // a SOCKS 5 proxy has agreed on the method and taken our credentials before it hears of any target
        return FaultClassifier.isAnswer(failure)
                || (attempt.proxy().scheme() == ProxyUrl.Scheme.SOCKS5
                        && attempt.blame() == Blame.AMBIGUOUS
                        && FaultClassifier.hasBegunToAnswer(attempt.detail()));
    }

    private Mono<Void> http(HealthCheck.Request request) {
        String url = request.url();
        if (url == null) {
            return Mono.error(new IllegalArgumentException("method http needs a url"));
        }
        return HttpClient.newConnection()
                .runOn(loops)
                .resolver(hops)
                .doOnChannelInit(route(request))
                .get()
                .uri(url)
                .responseSingle((response, body) -> isExpected(response.status().code(), request.expectedStatus())
                        ? Mono.<Void>empty()
                        : Mono.error(
                                new IOException("status " + response.status().code())));
    }

    private static boolean isExpected(int status, String expected) {
        return Arrays.stream(expected.split(",")).map(String::strip).anyMatch(range -> {
            String[] ends = range.split("-");
            return status >= Integer.parseInt(ends[0]) && status <= Integer.parseInt(ends[ends.length - 1]);
        });
    }

    /** ICMP where the process may, else the echo port, as the JDK has it; it blocks, on threads of its own. */
    private Mono<Void> ping(HealthCheck.Request request) {
        return Mono.<Void>create(sink -> {
                    try {
                        byte[] literal = NetUtil.createByteArrayFromIpAddressString(
                                request.proxy().host());
                        InetAddress host = literal != null
                                ? InetAddress.getByAddress(literal)
                                : InetAddress.getByName(request.proxy().host());
                        if (host.isReachable((int) request.timeout().toMillis())) {
                            sink.success();
                        } else {
                            sink.error(new IOException("no answer to a ping"));
                        }
                    } catch (IOException unreachable) {
                        sink.error(unreachable);
                    }
                })
                .subscribeOn(pings);
    }

    private ChannelRoute route(HealthCheck.Request request) {
        // a little less than the check as a whole has, so that it can be told how far the proxy came
        Duration timeout = request.timeout().multipliedBy(9).dividedBy(10);
        UseProxy use = new UseProxy(request.proxy(), timeout, request.sslBundle(), ProxyDecision.Source.DEFAULT);
        return new ChannelRoute(new OneProxy(use), names, tls, new ProxyChannels(), 0);
    }

    @Override
    public void close() {
        hops.close();
        names.close();
        pings.dispose();
    }

    /** Leads everything through one proxy, once. */
    private record OneProxy(UseProxy use) implements Leases {
        @Override
        public boolean haveOthers() {
            return false; // so that a check that fails opens no second channel to hear that
        }

        @Override
        public boolean leadsTo(String host, int port, ProxyDecision earlier) {
            return true; // a check is over before anything changes
        }

        @Override
        public ProxyTarget target(String host, int port) {
            return new ProxyTarget(ExchangeId.UNMATCHED, ConnectionType.HTTP, host, port);
        }

        @Override
        public ProxyLease leaseAtOnce(ProxyTarget target, Collection<ProxyUrl> tried) throws ProxyConnectionException {
            if (tried.isEmpty()) {
                return new CheckLease(target, use);
            }
            throw new ProxyConnectionException(target, List.of(), null, null);
        }

        @Override
        public Mono<ProxyLease> lease(ProxyTarget target, Collection<ProxyUrl> tried) {
            return Mono.fromCallable(() -> leaseAtOnce(target, tried));
        }
    }

    /** Nobody counts it: a check is not a connection. */
    private record CheckLease(ProxyTarget target, ProxyDecision decision) implements ProxyLease {
        @Override
        public void established(Duration latency) {
            // the check itself says so
        }

        @Override
        public void close(Outcome outcome) {
            // the check itself fails
        }
    }
}
