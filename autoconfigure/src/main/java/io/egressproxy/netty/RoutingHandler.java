package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.handler.proxy.ProxyConnectionEvent;
import io.netty.handler.ssl.SslCloseCompletionEvent;
import io.netty.handler.ssl.SslHandshakeCompletionEvent;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.channels.ClosedChannelException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.netty.NettyPipeline;

/**
 * Connects one channel as the router decides. It stands first in the channel, so that to everything behind it (the target's
 * TLS, HTTP, Reactor Netty) the tunnel is the connection: they are told that the channel is active when the tunnel stands,
 * and see no byte and no event from before.
 *
 * <p>One attempt of a {@link ConnectionPlan}; runs on the channel's event loop.
 */
final class RoutingHandler extends ChannelDuplexHandler {
    private enum State {
        /** Not asked to connect yet. */
        IDLE,
        /** Being connected; nothing passes. */
        CONNECTING,
        /** Connected; everything passes. */
        OPEN,
        /** Given up; nothing passes. */
        FAILED
    }

    private static final int LONGEST_HOST = 255;

    private final ChannelRoute route;
    private State state = State.IDLE;
    private ConnectionStage stage = ConnectionStage.SELECT;
    private @Nullable ConnectionPlan plan;
    private @Nullable ProxyTarget target;
    private @Nullable ChannelPromise connected;
    private @Nullable ProxyLease lease;
    private int changesBefore;
    private @Nullable ScheduledFuture<?> deadline;
    private @Nullable Tunnel tunnel;
    private long startNanos;
    private Duration latency = Duration.ZERO;
    private boolean targetAnswered;
    private boolean closedHere;

    RoutingHandler(ChannelRoute route) {
        this.route = route;
    }

    @Override
    public void connect(
            ChannelHandlerContext ctx, SocketAddress remote, @Nullable SocketAddress local, ChannelPromise promise) {
        ConnectionPlan connection = plan(remote);
        if (connection == null) { // a Unix domain socket, which never leaves the machine
            ctx.pipeline().remove(this);
            ctx.connect(remote, local, promise);
            return;
        }
        state = State.CONNECTING;
        plan = connection;
        connected = promise;
        startNanos = System.nanoTime();
        connection.started();
        ctx.channel().closeFuture().addListener(closed -> closed(ctx));
        Throwable end = connection.end();
        if (end != null) {
            fail(ctx, end);
            return;
        }
        InetSocketAddress address = connection.target();
        if (ctx.pipeline().get(NettyPipeline.ProxyHandler) != null) {
            refuse(
                    ctx,
                    connection,
                    "the client has a proxy of its own, by proxy() after the route or by proxyWhen();" + " remove it");
            return;
        }
        if (!isHost(connection.host())) {
            refuse(ctx, connection, "its host is no valid name or address");
            return;
        }
        try {
            connection.selectLiteral();
        } catch (UnknownHostException | RuntimeException forbidden) {
            end(ctx, connection, forbidden);
            return;
        }
        changesBefore = route.channels().changes();
        ProxyTarget wanted = route.leases().target(connection.host(), address.getPort());
        target = wanted;
        ProxyLease atOnce;
        try {
            atOnce = route.leases().leaseAtOnce(wanted, connection.tried());
        } catch (Throwable refused) { // a strategy of the application's own may throw anything
            Exceptions.throwIfJvmFatal(refused);
            refused(ctx, connection, wanted, refused);
            return;
        }
        if (atOnce != null) {
            granted(ctx, local, connection, wanted, atOnce);
            return;
        }
        // never cancelled: a lease that comes too late is given back, and one that is dropped on its way could not be
        route.leases()
                .lease(wanted, connection.tried())
                .subscribe(
                        granted -> onLoop(ctx, () -> granted(ctx, local, connection, wanted, granted)),
                        refused -> onLoop(ctx, () -> refused(ctx, connection, wanted, refused)));
    }

    /** Whether it is anything that a name or address may be; what else stands there would end up in a CONNECT line or a log. */
    private static boolean isHost(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c <= ' ' || c == 0x7f || "/@?#\\".indexOf(c) >= 0) {
                return false;
            }
        }
        return !text.isEmpty() && text.length() <= LONGEST_HOST;
    }

    /** Ends the plan before anything was asked for: no proxy has to do with what is wrong. */
    private void refuse(ChannelHandlerContext ctx, ConnectionPlan connection, String reason) {
        InetSocketAddress address = connection.target();
        Throwable refusal = new ProxyConnectionException(
                route.leases().target(connection.host(), address.getPort()), List.of(), reason, null);
        end(ctx, connection, refusal);
    }

    private void end(ChannelHandlerContext ctx, ConnectionPlan connection, Throwable reason) {
        connection.end(reason);
        fail(ctx, reason);
    }

    /**
     * The plan that a channel serves. Somebody may have set a resolver of his own after the route was applied; his channel
     * is routed all the same, with one attempt.
     */
    private static @Nullable ConnectionPlan plan(SocketAddress remote) {
        if (remote instanceof ConnectionPlan.Hop hop) {
            return hop.plan();
        }
        return remote instanceof InetSocketAddress address ? ConnectionPlan.ofOneAttempt(address) : null;
    }

    private static void onLoop(ChannelHandlerContext ctx, Runnable task) {
        if (ctx.executor().inEventLoop()) {
            task.run();
        } else {
            ctx.executor().execute(task);
        }
    }

    private void granted(
            ChannelHandlerContext ctx,
            @Nullable SocketAddress local,
            ConnectionPlan connection,
            ProxyTarget wanted,
            ProxyLease granted) {
        if (state != State.CONNECTING) {
            granted.close(new Outcome.Cancelled());
            return;
        }
        lease = granted;
        if (granted.decision() instanceof UseProxy use) {
            throughProxy(ctx, local, connection, use);
        } else if (granted.decision() instanceof Direct) {
            if (connection.isTargetUnknown()) { // nothing is wrong with the proxy that was left out: no way round it
                refused(ctx, connection, wanted, new UnknownHostException(connection.host()));
            } else {
                directly(ctx, local, connection);
            }
        } else {
            refused(ctx, connection, wanted, new IllegalStateException("a lease for " + granted.decision()));
        }
    }

    private void refused(ChannelHandlerContext ctx, ConnectionPlan connection, ProxyTarget wanted, Throwable refusal) {
        if (state != State.CONNECTING) {
            return;
        }
        // the proxies tried say more than that none is left
        Throwable reason = connection.failures().isEmpty()
                ? refusal
                : new ProxyConnectionException(wanted, connection.failures(), reason(refusal), connection.lastCause());
        end(ctx, connection, reason);
    }

    private static @Nullable String reason(Throwable refusal) {
        return refusal instanceof ProxyConnectionException own ? own.reason() : null;
    }

    private void throughProxy(
            ChannelHandlerContext ctx, @Nullable SocketAddress local, ConnectionPlan connection, UseProxy use) {
        stage = ConnectionStage.TCP;
        ConnectionPlan.PartlyTried begun = connection.takePartlyTried(use.proxy());
        long deadlineNanos = startNanos + (begun == null ? use.timeout().toNanos() : begun.leftNanos());
        deadline = ctx.executor()
                .schedule(
                        () -> proxyFailed(ctx, use, new TimeoutException("time for the proxy is up")),
                        deadlineNanos - System.nanoTime(),
                        TimeUnit.NANOSECONDS);
        if (begun != null) {
            address(ctx, local, connection, use, begun);
            return;
        }
        ProxyUrl proxy = use.proxy();
        route.names().resolve(ctx.channel(), proxy.host(), proxy.port(), (addresses, unknown) -> {
            if (state != State.CONNECTING) {
                return;
            }
            List<InetSocketAddress> allowed = allowed(addresses, use.source());
            if (unknown != null) {
                proxyFailed(ctx, use, unknown);
            } else if (allowed.isEmpty()) {
                proxyFailed(ctx, use, new UnknownHostException(proxy.host()), FaultClassifier.forbiddenAddress());
            } else {
                address(
                        ctx,
                        local,
                        connection,
                        use,
                        new ConnectionPlan.PartlyTried(proxy, allowed, deadlineNanos - System.nanoTime()));
            }
        });
    }

    private static List<InetSocketAddress> allowed(List<InetSocketAddress> addresses, ProxyDecision.Source source) {
        for (InetSocketAddress address : addresses) {
            if (!source.allows(address.getAddress())) { // hardly ever
                return addresses.stream()
                        .filter(other -> source.allows(other.getAddress()))
                        .toList();
            }
        }
        return addresses;
    }

    /** What goes to the proxy is the target as the client named it, but for plain SOCKS 4, which carries no name. */
    private void address(
            ChannelHandlerContext ctx,
            @Nullable SocketAddress local,
            ConnectionPlan connection,
            UseProxy use,
            ConnectionPlan.PartlyTried proxy) {
        String host = connection.host();
        int port = connection.target().getPort();
        if (use.proxy().scheme() != ProxyUrl.Scheme.SOCKS4) {
            tunnel(
                    ctx,
                    local,
                    connection,
                    use,
                    proxy,
                    asNamed(host, port, use.proxy().scheme()));
            return;
        }
        stage = ConnectionStage.SELECT; // what goes wrong now, or takes too long, has nothing to do with the proxy
        if (connection.isTargetUnknown()) {
            proxyFailed(ctx, use, new UnknownHostException(host));
            return;
        }
        route.names().resolveIpv4(ctx.channel(), host, port, (addresses, unknown) -> {
            if (state != State.CONNECTING) {
                return;
            }
            if (unknown != null) {
                proxyFailed(ctx, use, unknown);
            } else {
                stage = ConnectionStage.TCP;
                // ends the plan if none is selected: a proxy that resolves the name itself would be a way round
                selected(
                        ctx,
                        connection,
                        addresses,
                        allowed -> tunnel(ctx, local, connection, use, proxy, allowed.get(0)));
            }
        });
    }

    /** SOCKS 5 has a form of its own for an address, and not every proxy looks for one in that of names. */
    private static InetSocketAddress asNamed(String host, int port, ProxyUrl.Scheme scheme) {
        boolean isV6 = host.indexOf(':') >= 0;
        // a zone is one of this machine's, and not everybody reads an IPv4 address within another in the same way
        boolean plain = host.indexOf('%') < 0 && !(isV6 && host.indexOf('.') >= 0);
        InetAddress literal = plain && scheme == ProxyUrl.Scheme.SOCKS5 ? NameResolution.literal(host) : null;
        return literal == null ? InetSocketAddress.createUnresolved(host, port) : new InetSocketAddress(literal, port);
    }

    private void tunnel(
            ChannelHandlerContext ctx,
            @Nullable SocketAddress local,
            ConnectionPlan connection,
            UseProxy use,
            ConnectionPlan.PartlyTried proxy,
            InetSocketAddress address) {
        List<InetSocketAddress> addresses = proxy.addresses();
        try {
            tunnel = Tunnel.install(ctx, use, addresses.get(0), route.tls());
        } catch (SSLException | RuntimeException unusable) {
            proxyFailed(ctx, use, unusable, FaultClassifier.noTlsContext());
            return;
        }
        // the proxy's limit rules, also where the client's own for plain connections is shorter or longer; each address
        // that is left gets its share of it
        long attemptNanos = System.nanoTime();
        long leftMillis = TimeUnit.NANOSECONDS.toMillis(proxy.leftNanos());
        ctx.channel().config().setConnectTimeoutMillis((int)
                Math.max(1, addresses.size() > 1 ? leftMillis / addresses.size() : leftMillis + 1_000));
        ChannelPromise tcp = ctx.newPromise();
        tcp.addListener(done -> {
            if (done.isSuccess()) {
                if (stage == ConnectionStage.TCP) {
                    stage = use.proxy().scheme() == ProxyUrl.Scheme.HTTPS
                            ? ConnectionStage.TLS
                            : ConnectionStage.HANDSHAKE;
                }
            } else if (addresses.size() > 1 && !closedHere && state == State.CONNECTING) {
                connection.partlyTried(new ConnectionPlan.PartlyTried(
                        use.proxy(),
                        addresses.subList(1, addresses.size()),
                        proxy.leftNanos() - (System.nanoTime() - attemptNanos)));
                if (lease != null) {
                    lease.close(new Outcome.Cancelled());
                }
                fail(
                        ctx,
                        connection.hasAnotherAttempt()
                                ? new ConnectionPlan.AttemptFailedException()
                                : new ProxyConnectionException(
                                        Objects.requireNonNull(target),
                                        connection.failures(),
                                        "one address of " + use.proxy() + " does not accept connections",
                                        done.cause()));
            } else {
                proxyFailed(ctx, use, done.cause());
            }
        });
        ctx.connect(address, local, tcp); // Netty's proxy handler puts the proxy's address in its place
    }

    private void directly(ChannelHandlerContext ctx, @Nullable SocketAddress local, ConnectionPlan connection) {
        List<InetSocketAddress> left = connection.directAddresses();
        if (!left.isEmpty()) {
            directly(ctx, local, connection, left);
            return;
        }
        InetSocketAddress address = connection.target();
        if (!address.isUnresolved()) {
            selected(ctx, connection, List.of(address), allowed -> directly(ctx, local, connection, allowed));
            return;
        }
        route.names().resolve(ctx.channel(), connection.host(), address.getPort(), (addresses, unknown) -> {
            if (state != State.CONNECTING) {
                return;
            }
            if (unknown != null) {
                end(ctx, connection, unknown);
            } else {
                selected(ctx, connection, addresses, allowed -> directly(ctx, local, connection, allowed));
            }
        });
    }

    /** Goes on with those of the target's own addresses that the client wants to be connected to. */
    private void selected(
            ChannelHandlerContext ctx,
            ConnectionPlan connection,
            List<InetSocketAddress> addresses,
            Consumer<List<InetSocketAddress>> next) {
        List<InetSocketAddress> allowed;
        try {
            allowed = connection.selected(addresses);
        } catch (UnknownHostException | RuntimeException forbidden) {
            end(ctx, connection, forbidden);
            return;
        }
        next.accept(allowed);
    }

    private void directly(
            ChannelHandlerContext ctx,
            @Nullable SocketAddress local,
            ConnectionPlan connection,
            List<InetSocketAddress> addresses) {
        connection.directAddresses(addresses.subList(1, addresses.size()));
        ChannelPromise tcp = ctx.newPromise();
        tcp.addListener(done -> {
            if (done.isSuccess()) {
                open(ctx);
            } else {
                if (connection.directAddresses().isEmpty()) {
                    connection.end(done.cause());
                }
                fail(ctx, done.cause());
            }
        });
        ctx.connect(addresses.get(0), local, tcp);
    }

    private void open(ChannelHandlerContext ctx) {
        if (state != State.CONNECTING) {
            return;
        }
        state = State.OPEN;
        stage = ConnectionStage.TUNNEL;
        latency = Duration.ofNanos(System.nanoTime() - startNanos);
        settle();
        if (lease != null && target != null) {
            ProxyDecision decision = lease.decision();
            String host = Objects.requireNonNull(target.host());
            int port = target.port();
            route.channels().add(proxy(lease), ctx.channel(), changesBefore, () -> route.leases()
                    .leadsTo(host, port, decision));
        }
        if (connected != null) {
            connected.trySuccess();
        }
        ctx.fireChannelActive();
    }

    private void proxyFailed(ChannelHandlerContext ctx, UseProxy use, Throwable cause) {
        if (state == State.CONNECTING) {
            proxyFailed(ctx, use, cause, closedHere ? FaultClassifier.givenUp(stage) : classify(use, cause));
        }
    }

    private void proxyFailed(ChannelHandlerContext ctx, UseProxy use, Throwable cause, ProxyFault fault) {
        ConnectionPlan connection = Objects.requireNonNull(plan);
        connection.failed(
                new ProxyConnectionException.Attempt(
                        use.proxy(), fault.stage(), fault.blame(), fault.detail(), fault.advice()),
                cause);
        if (lease != null) {
            lease.close(closedHere ? new Outcome.Cancelled() : fault.outcome());
        }
        if (connection.hasAnotherAttempt() && route.leases().haveOthers()) {
            fail(ctx, new ConnectionPlan.AttemptFailedException());
            return;
        }
        Throwable failure =
                new ProxyConnectionException(Objects.requireNonNull(target), connection.failures(), null, cause);
        end(ctx, connection, failure);
    }

    private ProxyFault classify(UseProxy use, Throwable cause) {
        return switch (stage) {
            case TLS -> FaultClassifier.tls(cause);
            case HANDSHAKE, TUNNEL -> {
                AnswerProbe probe = tunnel == null ? null : tunnel.probe();
                yield FaultClassifier.handshake(
                        use.proxy().scheme(),
                        cause,
                        probe != null && probe.answered(),
                        probe != null && probe.foreign());
            }
            case SELECT -> FaultClassifier.targetUnknown();
            case TCP -> FaultClassifier.tcp(cause);
        };
    }

    private void proxyFailed(ChannelHandlerContext ctx, Throwable cause) {
        if (lease != null && lease.decision() instanceof UseProxy use) {
            proxyFailed(ctx, use, cause);
        } else {
            fail(ctx, cause);
        }
    }

    private void fail(ChannelHandlerContext ctx, Throwable cause) {
        if (state != State.CONNECTING) {
            return;
        }
        state = State.FAILED;
        settle();
        if (lease != null) {
            lease.close(new Outcome.Failed(stage, Blame.TARGET, cause.getClass().getSimpleName()));
        }
        if (connected != null) {
            connected.tryFailure(cause);
        }
        ctx.close();
    }

    private void settle() {
        if (deadline != null) {
            deadline.cancel(false);
        }
    }

    /** The end of the channel is the end of its lease. */
    private void closed(ChannelHandlerContext ctx) {
        if (state == State.CONNECTING) {
            // after what the pipeline still has to say: TLS knows better why it was closed
            ctx.executor().execute(() -> proxyFailed(ctx, new ClosedChannelException()));
        } else if (state == State.OPEN) {
            if (lease != null) {
                route.channels().remove(proxy(lease), ctx.channel());
            }
            ended();
        }
    }

    private static @Nullable ProxyUrl proxy(ProxyLease lease) {
        return lease.decision() instanceof UseProxy use ? use.proxy() : null;
    }

    private void ended() {
        if (lease != null) {
            lease.close(ended(lease.decision() instanceof UseProxy ? Blame.AMBIGUOUS : Blame.TARGET));
        }
    }

    /** Only the target's answer shows that the proxy worked; a client that gave up waiting shows nothing. */
    private Outcome ended(Blame whenLost) {
        if (targetAnswered) {
            return new Outcome.Succeeded(latency);
        }
        return closedHere
                ? new Outcome.Cancelled()
                : new Outcome.Failed(ConnectionStage.TUNNEL, whenLost, "closed before the target's first byte");
    }

    @Override
    public void close(ChannelHandlerContext ctx, ChannelPromise promise) {
        closedHere |= state == State.OPEN || state == State.CONNECTING;
        ctx.close(promise);
    }

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
        // the TCP connection to the proxy: open() fires it when the tunnel stands
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
        if (state == State.OPEN) {
            if (!targetAnswered) {
                targetAnswered = true;
                if (lease != null) {
                    lease.established(latency);
                }
            }
            ctx.fireChannelRead(message);
        } else {
            // a proxy that fails may have sent bytes that would pass for the target's answer
            ReferenceCountUtil.release(message);
        }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
        if (state == State.OPEN) {
            ctx.fireChannelReadComplete();
        }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
        if (state == State.OPEN) {
            ctx.fireChannelInactive();
        } else {
            proxyFailed(ctx, new ClosedChannelException());
        }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
        if (state == State.OPEN) {
            if (cause
                    instanceof
                    IOException) { // the socket is gone: told before the caller is, who may try again at once
                ended();
            }
            ctx.fireExceptionCaught(cause);
        } else {
            proxyFailed(ctx, cause);
        }
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
        if (state == State.OPEN) {
            boolean proxySaidGoodbye = event instanceof SslCloseCompletionEvent
                    && lease != null
                    && lease.decision() instanceof UseProxy use
                    && use.proxy().scheme() == ProxyUrl.Scheme.HTTPS;
            if (proxySaidGoodbye) { // to the target's TLS it would look like its own
                ctx.close();
            } else {
                ctx.fireUserEventTriggered(event);
            }
        } else if (event instanceof SslHandshakeCompletionEvent proxyTls) {
            if (proxyTls.isSuccess()) {
                stage = ConnectionStage.HANDSHAKE;
            } else {
                proxyFailed(ctx, proxyTls.cause());
            }
        } else if (event instanceof ProxyConnectionEvent) {
            if (tunnel != null) {
                tunnel.established(ctx.pipeline());
            }
            open(ctx);
        }
    }
}
