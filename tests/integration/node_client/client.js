// A client in JavaScript, written from the README:
// node client.js PROTO_FOLDER ADDRESS put KEY VALUE, or get KEY.
'use strict';

const grpc = require('@grpc/grpc-js');
const protoLoader = require('@grpc/proto-loader');

const [protoFolder, address, command, key, value] = process.argv.slice(2);
const definition = protoLoader.loadSync('slipstream/v1/kv.proto', {
  includeDirs: [protoFolder],
  longs: String,
});
const {KvService} = grpc.loadPackageDefinition(definition).slipstream.v1;
const kv = new KvService(address, grpc.credentials.createInsecure());
const options = {deadline: Date.now() + 5000};

function finish(error, print) {
  if (error) {
    const reason = error.metadata.get('slipstream-reason').join(' ');
    console.error(grpc.status[error.code], reason);
    process.exitCode = 1;
  } else {
    print();
  }
  kv.close();
}

if (command === 'put') {
  const request = {key: Buffer.from(key), value: Buffer.from(value)};
  kv.put(request, options, (error, response) => {
    finish(error, () => console.log(response.version.hlc, response.version.actor));
  });
} else if (command === 'get') {
  kv.get({key: Buffer.from(key)}, options, (error, response) => {
    finish(error, () => console.log(response.value.toString()));
  });
} else {
  console.error('usage: node client.js PROTO_FOLDER ADDRESS put KEY VALUE | get KEY');
  process.exitCode = 2;
}
