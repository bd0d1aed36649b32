// The echo of sockjs-node on a socket that already listens: `node server.mjs FD`.
import http from 'node:http';
import sockjs from 'sockjs';

const echo = sockjs.createServer({ log() {} });
echo.on('connection', (connection) => connection.on('data', (message) => connection.write(message)));
const server = http.createServer();
// As many requests on one connection as come, and none is given up.
server.keepAliveTimeout = 0;
echo.installHandlers(server, { prefix: '/sockjs' });
server.listen({ fd: Number(process.argv[2]) });
