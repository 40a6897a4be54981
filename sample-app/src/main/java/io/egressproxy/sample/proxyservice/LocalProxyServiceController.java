package io.egressproxy.sample.proxyservice;

import io.egressproxy.sample.page.PagePart;
import org.springframework.context.annotation.Profile;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;

/** Lets a user stop, hang and start the local proxy service and watch what the feeds do. */
@RestController
@RequestMapping("/local-proxy-service")
@Profile("!own")
final class LocalProxyServiceController implements PagePart {

    private final LocalProxyService service;

    LocalProxyServiceController(LocalProxyService service) {
        this.service = service;
    }

    @Override
    public String name() {
        return "localProxyService";
    }

    @Override
    @GetMapping
    public LocalProxyService.View view() {
        return service.view();
    }

    @PostMapping("/stop")
    Mono<LocalProxyService.View> stop() {
        return change(service::stop);
    }

    @PostMapping("/hang")
    Mono<LocalProxyService.View> hang() {
        return change(service::hang);
    }

    @PostMapping("/start")
    Mono<LocalProxyService.View> start() {
        return change(service::start);
    }

    private Mono<LocalProxyService.View> change(Runnable change) {
        // Both wait for sockets, which an event loop must not do.
        return Mono.fromCallable(() -> {
                    change.run();
                    return service.view();
                })
                .subscribeOn(Schedulers.boundedElastic());
    }
}
