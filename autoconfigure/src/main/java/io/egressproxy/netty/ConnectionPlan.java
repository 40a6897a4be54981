package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyUrl;
import java.net.IDN;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.util.AbstractList;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One connection that somebody wants, across all the channels that are opened in trying to get it.
 *
 * <p>To Reactor Netty it is the list of addresses that the target's name resolved to: its connector opens a new channel for
 * the next one when the first failed, before anything was sent, and that is our failover. Nothing was resolved; each {@link
 * Hop} stands for the same target and tells the handler of its channel which plan it serves. The list gets shorter as soon
 * as another attempt would be pointless.
 *
 * <p>Used by one event loop at a time.
 */
final class ConnectionPlan extends AbstractList<SocketAddress> {
    /** More attempts than {@code max-attempts} may ask for, with room for the addresses of a direct target. */
    private static final int MAX_ATTEMPTS = 20;

    /** No name has it, but many resolvers take it for an IPv4 address: {@code 2852039166}, {@code 0xa9.254.43518}, {@code 169.254.169.254.} */
    private static final Pattern NUMBER_AT_THE_END = Pattern.compile("(?:.*\\.)?(?:[0-9]+|0[xX][0-9a-fA-F]*)\\.?");

    /** One attempt. An address that no transport understands, so that only our handler can connect to it. */
    static final class Hop extends SocketAddress {
        private final transient ConnectionPlan plan;

        private Hop(ConnectionPlan plan) {
            this.plan = plan;
        }

        ConnectionPlan plan() {
            return plan;
        }

        @Override
        public String toString() {
            return plan.host + ":" + plan.target.getPort(); // also a tag of metrics
        }
    }

    /**
     * A proxy that has not failed yet: some addresses of its name are left.
     *
     * @param proxy the proxy
     * @param addresses those left, at least one
     * @param leftNanos what is left of the time for the proxy as a whole, not counting that of others tried in between
     */
    record PartlyTried(ProxyUrl proxy, List<InetSocketAddress> addresses, long leftNanos) {}

    /**
     * That an attempt has failed, to whoever makes the next one, and to nobody else: what is to be said is said when no other is left. Most that
     * fail are followed by one that does not, so it is cheap.
     */
    static final class AttemptFailedException extends RuntimeException {
        AttemptFailedException() {
            super("another attempt is made", null, false, false);
        }
    }

    private final InetSocketAddress target;
    private final String host;
    private final int attempts;
    private List<ProxyUrl> tried = List.of();
    private List<ProxyConnectionException.Attempt> failures = List.of();
    private Map<ProxyUrl, PartlyTried> partlyTried = Map.of();
    private List<InetSocketAddress> directAddresses = List.of();
    private @Nullable UnaryOperator<@Nullable List<? extends SocketAddress>> selection;
    private int started;
    private @Nullable Throwable lastCause;
    private @Nullable Throwable end;

    private ConnectionPlan(InetSocketAddress target, int attempts) {
        this.target = target;
        this.host = target.getHostString(); // which makes a text of an address each time
        this.attempts = attempts;
    }

    /**
     * A plan of as many attempts as are of use.
     *
     * @param target the target as the client named it
     */
    static ConnectionPlan of(InetSocketAddress target) {
        return new ConnectionPlan(target, MAX_ATTEMPTS);
    }

    /**
     * A plan for somebody who makes one attempt.
     *
     * @param target the target as the client named it
     */
    static ConnectionPlan ofOneAttempt(InetSocketAddress target) {
        return new ConnectionPlan(target, 1);
    }

    InetSocketAddress target() {
        return target;
    }

    /** The target's name, or its address as a text. */
    String host() {
        return host;
    }

    /** The proxies that have failed, for the router to leave out. */
    List<ProxyUrl> tried() {
        return tried.isEmpty() ? tried : Collections.unmodifiableList(tried);
    }

    List<ProxyConnectionException.Attempt> failures() {
        return failures;
    }

    /** An attempt has begun. */
    void started() {
        started++;
    }

    /** Whether the attempt that has begun last is followed by another one if it fails, unless the plan {@linkplain #end ends}. */
    boolean hasAnotherAttempt() {
        return end == null && started < attempts;
    }

    void failed(ProxyConnectionException.Attempt attempt, Throwable cause) {
        if (failures.isEmpty()) { // most connections need one attempt
            tried = new ArrayList<>();
            failures = new ArrayList<>();
        }
        tried.add(attempt.proxy());
        failures.add(attempt);
        lastCause = cause;
    }

    /** The technical cause of the last failure, or null if there was none. */
    @Nullable
    Throwable lastCause() {
        return lastCause;
    }

    /** What is left of a proxy that was begun, or null. The next attempt may be given another proxy, and this one later. */
    @Nullable
    PartlyTried takePartlyTried(ProxyUrl proxy) {
        return partlyTried.isEmpty() ? null : partlyTried.remove(proxy);
    }

    void partlyTried(PartlyTried proxy) {
        if (partlyTried.isEmpty()) {
            partlyTried = new HashMap<>();
        }
        partlyTried.put(proxy.proxy(), proxy);
    }

    /** Whether a proxy was left out since the target's name does not resolve here. */
    boolean isTargetUnknown() {
        for (ProxyConnectionException.Attempt attempt : failures) {
            if (attempt.blame() == Blame.TARGET) {
                return true;
            }
        }
        return false;
    }

    /** No further attempt makes sense, for this reason. */
    void end(Throwable reason) {
        if (end == null) {
            end = reason;
        }
    }

    /** Why no further attempt makes sense, or null if one may. */
    @Nullable
    Throwable end() {
        return end;
    }

    /** The client has a say about the target's addresses, where they are known here. */
    void selectBy(UnaryOperator<@Nullable List<? extends SocketAddress>> selection) {
        this.selection = selection;
    }

    /**
     * Those of the target's addresses that the client may connect to.
     *
     * @param addresses those that its name has
     * @throws UnknownHostException if it may connect to none
     */
    List<InetSocketAddress> selected(List<InetSocketAddress> addresses) throws UnknownHostException {
        if (selection == null) {
            return addresses;
        }
        List<? extends SocketAddress> selected = selection.apply(addresses);
        if (selected == null || selected.isEmpty()) {
            throw new UnknownHostException("the client selects none of the addresses of " + host);
        }
        return selected.stream().map(InetSocketAddress.class::cast).toList();
    }

    /**
     * Asks the client about a target that is written as an address, before anything is decided: a proxy would take it as it stands. A name is
     * left alone: nobody here may look it up.
     *
     * @throws UnknownHostException if the client may not connect to it
     */
    void selectLiteral() throws UnknownHostException {
        if (selection == null) {
            return;
        }
        String asRead = asAProxyReadsIt(host);
        InetAddress literal = NameResolution.literal(asRead);
        if (literal != null) {
            selected(List.of(new InetSocketAddress(literal, target.getPort())));
        } else if (NUMBER_AT_THE_END.matcher(asRead).matches()) {
            throw new UnknownHostException(
                    host + " is no name, and no address in a spelling that the client can be asked about");
        }
    }

    /** Digits and dots of other scripts turn into ours on the way through {@code socks5}. */
    private static String asAProxyReadsIt(String host) {
        try {
            return IDN.toASCII(host, IDN.ALLOW_UNASSIGNED);
        } catch (IllegalArgumentException noName) {
            return host;
        }
    }

    /** The addresses of a direct target that were not tried yet; empty if they are not known. */
    List<InetSocketAddress> directAddresses() {
        return directAddresses;
    }

    void directAddresses(List<InetSocketAddress> addresses) {
        this.directAddresses = addresses;
    }

    @Override
    public SocketAddress get(int index) {
        return new Hop(this);
    }

    @Override
    public int size() {
        return end == null ? attempts : Math.max(1, started);
    }

    @Override
    public boolean equals(@Nullable Object other) {
        return this == other;
    }

    @Override
    public int hashCode() {
        return System.identityHashCode(this);
    }
}
