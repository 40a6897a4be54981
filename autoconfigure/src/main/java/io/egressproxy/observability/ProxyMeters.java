package io.egressproxy.observability;

import io.micrometer.common.docs.KeyName;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.Tags;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.docs.MeterDocumentation;
import java.util.Locale;
import java.util.function.Supplier;
import java.util.function.ToDoubleFunction;

/**
 * Every meter: what it is called, what it measures, and how it is tagged. The one place for all three; the tags' values are from closed
 * lists, or bounded where they are registered.
 */
public enum ProxyMeters implements MeterDocumentation {

    /** Connections decided on. */
    DECISIONS(
            "proxy.decisions",
            Meter.Type.COUNTER,
            "Connections decided on",
            Tag.EXCHANGE,
            Tag.CONNECTION_TYPE,
            Tag.SOURCE),

    /** Connections that did not get what was meant for them. */
    FALLBACKS(
            "proxy.fallbacks",
            Meter.Type.COUNTER,
            "Connections that did not get what was meant for them",
            Tag.EXCHANGE,
            Tag.REASON,
            Tag.TO),

    /** Until the tunnel stood, or until it failed. */
    CONNECTIONS(
            "proxy.connections",
            Meter.Type.TIMER,
            "Time until a connection's tunnel stood, or until it failed",
            Tag.EXCHANGE,
            Tag.CONNECTION_TYPE,
            Tag.SOURCE,
            Tag.OUTCOME,
            Tag.BLAME),

    /** Connections that are open. */
    CONNECTIONS_ACTIVE(
            "proxy.connections.active",
            Meter.Type.GAUGE,
            "Connections that are open",
            Tag.EXCHANGE,
            Tag.CONNECTION_TYPE),

    /** Requests for a proxy, by endpoint. */
    SERVICE_REQUESTS(
            "proxy.service.requests", Meter.Type.TIMER, "Requests to the proxy service", Tag.ENDPOINT, Tag.OUTCOME),

    /** Whether the proxy service is asked at present. */
    SERVICE_AVAILABLE(
            "proxy.service.available",
            Meter.Type.GAUGE,
            "1 while the proxy service is asked, 0 while it is known to be down or left alone"),

    /** Reports to the proxy service. */
    FEEDBACK("proxy.feedback", Meter.Type.COUNTER, "Reports to the proxy service", Tag.OUTCOME),

    /** Proxies of each pool, by state. */
    POOL_PROXIES("proxy.pool.proxies", Meter.Type.GAUGE, "Proxies of a pool", Tag.POOL, Tag.STATE),

    /** Whether connections take a proxy. */
    MEMBER_UP("proxy.member.up", Meter.Type.GAUGE, "1 while connections take the proxy, else 0", Tag.POOL, Tag.PROXY),

    /** Connections of a proxy that are open. */
    MEMBER_CONNECTIONS_ACTIVE(
            "proxy.member.connections.active",
            Meter.Type.GAUGE,
            "Connections through the proxy that are open",
            Tag.POOL,
            Tag.PROXY),

    /** Connections of a proxy so far. */
    MEMBER_CONNECTIONS(
            "proxy.member.connections",
            Meter.Type.COUNTER,
            "Connections that reached their target through the proxy, or failed by its fault",
            Tag.POOL,
            Tag.PROXY,
            Tag.OUTCOME),

    /** Health checks of a pool's proxies. */
    HEALTH_CHECKS("proxy.health.checks", Meter.Type.TIMER, "Health checks of proxies", Tag.POOL, Tag.OUTCOME),

    /** How often each proxy of a pool is checked. */
    HEALTH_INTERVAL(
            "proxy.health.interval",
            Meter.Type.GAUGE,
            "Time between two checks of a proxy, longer than configured if there are too many proxies",
            Tag.POOL),

    /** Whether this machine's own network is suspected. */
    HEALTH_FROZEN(
            "proxy.health.frozen",
            Meter.Type.GAUGE,
            "1 while this machine's own network is suspected, and health checks change no verdict"),

    /** How often the settings were read again while the application ran. */
    RELOADS("proxy.reloads", Meter.Type.COUNTER, "Reloads of the settings at run time", Tag.OUTCOME);

    /** The keys of all tags. */
    public enum Tag implements KeyName {
        /** An exchange that is configured; {@code default} for all others, {@code unmatched} for hosts that none claims. */
        EXCHANGE,
        /** {@code http} or {@code websocket}. */
        CONNECTION_TYPE,
        /** {@code service}, {@code cache}, {@code stale}, {@code embedded}, {@code direct} or {@code refused}. */
        SOURCE,
        /** What was taken instead, in the words of {@link #SOURCE}. */
        TO,
        /** Why something else was taken. */
        REASON,
        /** How it ended. */
        OUTCOME,
        /** Whose fault it was, or {@code none}. */
        BLAME,
        /** An endpoint of the proxy service; {@code other} beyond the first 32. */
        ENDPOINT,
        /** A pool, for example {@code binance/http}. */
        POOL,
        /** {@code up}, {@code ejected}, {@code spare}, {@code down} or {@code drained}. */
        STATE,
        /** A proxy without its credentials. */
        PROXY;

        @Override
        public String asString() {
            return name().toLowerCase(Locale.ROOT).replace('_', '.');
        }
    }

    private final String meterName;
    private final Meter.Type type;
    private final String description;

    @SuppressWarnings("ImmutableEnumChecker") // nobody writes to it, and nobody else gets it
    private final Tag[] tags;

    ProxyMeters(String meterName, Meter.Type type, String description, Tag... tags) {
        this.meterName = meterName;
        this.type = type;
        this.description = description;
        this.tags = tags;
    }

    @Override
    public String getName() {
        return meterName;
    }

    @Override
    public Meter.Type getType() {
        return type;
    }

    @Override
    public KeyName[] getKeyNames() {
        return tags.clone();
    }

    /**
     * What it measures.
     *
     * @return in words, for registries that show them
     */
    public String description() {
        return description;
    }

    Counter.Builder counter(Tags values) {
        return Counter.builder(meterName).description(description).tags(values);
    }

    Timer.Builder timer(Tags values) {
        return Timer.builder(meterName).description(description).tags(values);
    }

    Gauge.Builder<Supplier<Number>> gauge(Tags values, Supplier<Number> value) {
        return Gauge.builder(meterName, value)
                .strongReference(true) // nobody else may hold what is measured
                .description(description)
                .tags(values);
    }

    <T> FunctionCounter.Builder<T> counter(Tags values, T counted, ToDoubleFunction<T> count) {
        return FunctionCounter.builder(meterName, counted, count)
                .description(description)
                .tags(values);
    }
}
