package io.egressproxy.sample;

import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Says at {@code /} what else there is. */
@RestController
final class HelpController {

    @GetMapping(path = "/", produces = MediaType.TEXT_PLAIN_VALUE)
    String help() {
        return """
                Egress Proxy sample

                GET  /feeds                        every feed: last price, the proxy that the target saw, state, last error
                GET  /local-proxies                the proxies in this JVM (not in profile own)
                POST /local-proxies/{name}/stop    stop one and close its connections: its feeds fail, none goes direct
                POST /local-proxies/{name}/start   start it again: its feeds heal

                {name} is socks5-local or http-local. For example:
                  curl -X POST localhost:8080/local-proxies/socks5-local/stop
                """;
    }
}
