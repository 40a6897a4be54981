package io.egressproxy.sample.page;

import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Statistic;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.StreamSupport;
import org.springframework.stereotype.Component;

/** Some of the library's counters, each by one of its tags. */
@Component
final class Counters implements PagePart {

    private final MeterRegistry meters;

    Counters(MeterRegistry meters) {
        this.meters = meters;
    }

    @Override
    public String name() {
        return "counters";
    }

    @Override
    public Map<String, Map<String, Long>> view() {
        return Map.of(
                "decisions", counts("proxy.decisions", "source"),
                "fallbacks", counts("proxy.fallbacks", "reason"),
                "connections", counts("proxy.connections", "outcome"),
                "requests", counts("proxy.service.requests", "outcome"),
                "feedback", counts("proxy.feedback", "outcome"),
                "reloads", counts("proxy.reloads", "outcome"));
    }

    private Map<String, Long> counts(String meter, String tag) {
        Map<String, Long> counts = new TreeMap<>();
        meters.find(meter).meters().forEach(found -> counts.merge(tag(found, tag), count(found), Long::sum));
        return counts;
    }

    private static String tag(Meter meter, String tag) {
        String value = meter.getId().getTag(tag);
        return value == null ? "" : value;
    }

    private static long count(Meter meter) {
        return StreamSupport.stream(meter.measure().spliterator(), false)
                .filter(measurement -> measurement.getStatistic() == Statistic.COUNT)
                .mapToLong(measurement -> (long) measurement.getValue())
                .sum();
    }
}
