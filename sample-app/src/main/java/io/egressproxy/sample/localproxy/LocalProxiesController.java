package io.egressproxy.sample.localproxy;

import io.egressproxy.sample.page.PagePart;
import java.util.List;
import java.util.function.Consumer;
import org.springframework.context.annotation.Profile;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Lets a user stop, freeze and start the local proxies and watch what the feeds do. */
@RestController
@RequestMapping("/local-proxies")
@Profile("!own")
final class LocalProxiesController implements PagePart {

    private final LocalProxies proxies;

    LocalProxiesController(LocalProxies proxies) {
        this.proxies = proxies;
    }

    @Override
    public String name() {
        return "localProxies";
    }

    @Override
    @GetMapping
    public List<View> view() {
        return proxies.all().stream().map(View::of).toList();
    }

    @PostMapping("/{name}/stop")
    Mono<View> stop(@PathVariable String name) {
        return change(name, LocalProxy::stop);
    }

    @PostMapping("/{name}/freeze")
    Mono<View> freeze(@PathVariable String name) {
        return change(name, LocalProxy::freeze);
    }

    @PostMapping("/{name}/start")
    Mono<View> start(@PathVariable String name) {
        return change(name, LocalProxy::start);
    }

    private Mono<View> change(String name, Consumer<LocalProxy> change) {
        LocalProxy proxy = proxies.find(name)
                .orElseThrow(() -> new ResponseStatusException(HttpStatus.NOT_FOUND, "No local proxy " + name));
        // Both wait for sockets, which an event loop must not do.
        return Mono.fromCallable(() -> {
                    change.accept(proxy);
                    return View.of(proxy);
                })
                .subscribeOn(Schedulers.boundedElastic());
    }

    /** A proxy as the JSON answer shows it. */
    record View(String name, String url, boolean running, boolean frozen) {

        static View of(LocalProxy proxy) {
            return new View(proxy.name(), proxy.url(), proxy.isRunning(), proxy.isFrozen());
        }
    }
}
