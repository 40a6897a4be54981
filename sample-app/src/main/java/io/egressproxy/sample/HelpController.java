package io.egressproxy.sample;

import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** Says at {@code /help} what else there is. */
@RestController
final class HelpController {

    @GetMapping(path = "/help", produces = MediaType.TEXT_PLAIN_VALUE)
    String help() {
        return """
                Egress Proxy sample

                GET  /                             a page that shows all of this and has buttons for it
                GET  /feeds                        every feed: last price, the proxy that the target saw, state, last error
                GET  /local-proxies                the proxies in this JVM (not in profile own)
                POST /local-proxies/{name}/stop    stop one and close its connections: coinbase goes on through another
                                                   of its pool, a feed of binance fails, none goes direct
                POST /local-proxies/{name}/freeze  leave it open and have it answer nobody
                POST /local-proxies/{name}/start   start it again: it is used again, by itself
                GET  /local-proxy-service          the proxy service in this JVM, which gives kraken its proxy
                POST /local-proxy-service/stop     stop it: within seconds kraken goes on through proxy.default
                POST /local-proxy-service/hang     have it answer nobody
                POST /local-proxy-service/start    start it again: it is asked again, by itself

                {name} is socks5-local, http-local, socks5-local-2 or socks5-leased. For example:
                  curl -X POST localhost:8080/local-proxies/socks5-local/stop
                """;
    }
}
