# dbclient -L whose client closes; then the server writes. (As root; an sshd of its own runs as daemon.)
import socket,subprocess,time,tempfile,os,shutil
d=tempfile.mkdtemp(); os.chmod(d,0o755); run=["setpriv","--reuid=daemon","--regid=daemon","--clear-groups","--"]
subprocess.run(["ssh-keygen","-q","-t","ed25519","-N","","-f",d+"/key"],check=True)
subprocess.run(["dropbearconvert","openssh","dropbear",d+"/key",d+"/db"],check=True,stderr=subprocess.DEVNULL)
for f in ("key","key.pub","db"): shutil.chown(d+"/"+f,"daemon")
open(d+"/conf","w").write(f"ListenAddress 127.0.0.1:8094\nHostKey {d}/key\nAuthorizedKeysFile {d}/key.pub\nStrictModes no\nUsePAM no\nPidFile none\n")
s=subprocess.Popen(run+["/usr/sbin/sshd","-D","-e","-f",d+"/conf"],stderr=subprocess.DEVNULL); time.sleep(1)
def try_with(name,command):
    p=subprocess.Popen(run+command,stderr=subprocess.DEVNULL,env=dict(os.environ,HOME=d)); time.sleep(3)
    l=socket.create_server(("127.0.0.1",8091)); c=socket.create_connection(("127.0.0.1",8093)); b,_=l.accept(); c.close(); b.settimeout(15); n=0; t=time.time()
    time.sleep(.01)
    try:
        while time.time()-t<20: n+=b.send(b"x"*65536)
        print(name,": the server has written",n,"bytes in 20 s")
    except TimeoutError: print(name,": the server has written",n,"bytes, then it is kept waiting for 15 s, and not told that the client has gone")
    except OSError as e: print(name,": after",round(time.time()-t,2),"s and",n,"bytes:",e)
    p.terminate(); p.wait(); b.close(); l.close()
try_with("dbclient",["dbclient","-y","-y","-N","-i",d+"/db","-p","8094","-L","127.0.0.1:8093:127.0.0.1:8091","daemon@127.0.0.1"])
try_with("ssh",["ssh","-N","-o","StrictHostKeyChecking=no","-o","UserKnownHostsFile=/dev/null","-i",d+"/key","-p","8094","-L","127.0.0.1:8093:127.0.0.1:8091","daemon@127.0.0.1"])
s.terminate()
