package io.egressproxy.sample.page;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.springframework.context.event.ContextClosedEvent;
import org.springframework.context.event.EventListener;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/** The sample as server-sent events, looked at once for all browsers that watch, and not at all while none does. */
@RestController
final class PageEvents {

    private static final Duration BETWEEN_LOOKS = Duration.ofMillis(500);

    private final Sinks.Empty<Void> end = Sinks.empty();
    private final Flux<Map<String, Object>> looks;

    PageEvents(List<PagePart> parts) {
        // some parts wait for one another, which an event loop must not do
        looks = Flux.interval(Duration.ZERO, BETWEEN_LOOKS, Schedulers.boundedElastic())
                .onBackpressureDrop()
                .map(look -> view(parts))
                .replay(1)
                .refCount()
                .takeUntilOther(end.asMono());
    }

    private static Map<String, Object> view(List<PagePart> parts) {
        Map<String, Object> view = new LinkedHashMap<>();
        view.put("time", System.currentTimeMillis());
        parts.forEach(part -> view.put(part.name(), part.view()));
        return view;
    }

    @GetMapping(path = "/events", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
    Flux<Map<String, Object>> events() {
        return looks.onBackpressureLatest(); // a browser that is too slow misses some
    }

    /** Or the server would wait for browsers to go. */
    @EventListener(ContextClosedEvent.class)
    void endAll() {
        end.tryEmitEmpty();
    }
}
